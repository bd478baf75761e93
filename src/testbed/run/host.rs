//! What a result was measured on.

use crate::testbed::result::HostFacts;

/// Facts of this process and machine; the proxy names itself later.
pub(super) fn facts() -> HostFacts {
    let uname = rustix::system::uname();
    HostFacts {
        dropbed: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: format!(
            "{} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy()
        ),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        proxy: "not asked".to_owned(),
    }
}
