//! What is agreed with the kernel when a mount starts (FUSE_INIT).

use fuser::{InitFlags, KernelConfig};

/// Read-ahead requests that the kernel keeps in flight. Its default of 12 starves
/// a remote file; mountpoint-s3 measured 16 to 64 as +29 % and nothing beyond.
pub(super) const BACKGROUND_MAX: u16 = 64;

/// Largest READ: what the kernel's default page limit (256 pages) allows anyway.
/// fuser derives the page limit from its write size, hence the setter's name.
const REQUEST_BYTES_MAX: u32 = 1 << 20;

/// Read-ahead window. The kernel offers 128 KiB here and refuses more; what the
/// device's own setting adds is in `mount`.
pub(super) const READ_AHEAD_BYTES: u32 = 1 << 20;

/// What is asked for if the kernel has it, and why.
const WANTED: [(InitFlags, &str); 4] = [
    (InitFlags::FUSE_PARALLEL_DIROPS, "two lookups in one directory do not wait for each other"),
    (InitFlags::FUSE_DO_READDIRPLUS, "`ls -l` costs one request, not one for each name"),
    (InitFlags::FUSE_READDIRPLUS_AUTO, "plain `ls` does not pay for attributes"),
    (InitFlags::FUSE_ASYNC_DIO, "a large O_DIRECT read is several requests at once"),
];

/// What the kernel granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) flags: InitFlags,
    pub(super) background_max: u16,
    pub(super) request_bytes_max: u32,
    pub(super) read_ahead_bytes: u32,
}

/// Asks for everything above and logs what came of it.
pub(super) fn negotiate(config: &mut KernelConfig) -> Granted {
    let mut flags = InitFlags::empty();
    for (flag, reason) in WANTED {
        match config.add_capabilities(flag) {
            Ok(()) => flags |= flag,
            Err(missing) => tracing::info!(?missing, reason, "the kernel lacks a FUSE capability"),
        }
    }
    let granted = Granted {
        flags,
        background_max: settle(BACKGROUND_MAX, |v| config.set_max_background(v)),
        request_bytes_max: settle(REQUEST_BYTES_MAX, |v| config.set_max_write(v)),
        read_ahead_bytes: settle(READ_AHEAD_BYTES, |v| config.set_max_readahead(v)),
    };
    tracing::info!(
        abi = %config.kernel_abi(),
        flags = ?granted.flags,
        background_max = granted.background_max,
        background_max_asked = BACKGROUND_MAX,
        request_bytes_max = granted.request_bytes_max,
        request_bytes_max_asked = REQUEST_BYTES_MAX,
        read_ahead_bytes = granted.read_ahead_bytes,
        read_ahead_bytes_asked = READ_AHEAD_BYTES,
        "FUSE session"
    );
    granted
}

/// Sets `asked`, or the nearest value that the setter says it would take. A
/// refused setter changes nothing, so the second call is needed.
fn settle<T: Copy>(asked: T, mut set: impl FnMut(T) -> Result<T, T>) -> T {
    match set(asked) {
        Ok(_previous) => asked,
        Err(nearest) => match set(nearest) {
            Ok(_previous) => nearest,
            Err(still_nearer) => still_nearer,
        },
    }
}
