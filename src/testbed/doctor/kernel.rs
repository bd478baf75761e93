//! The kernel's own figures, parsed and judged. Pure.

use std::ops::RangeInclusive;

use super::Check;

pub(super) const NAME: &str = "kernel";

/// openat2(2), by which the kernel confines what a daemon serves.
const NEEDED: (u32, u32) = (5, 6);

/// The first with FUSE passthrough.
const PASSTHROUGH: (u32, u32) = (6, 9);

/// Pages of the largest READ where no limit is set: 1 MiB. A limit that can be set
/// came with Linux 6.13.
const MAX_PAGES_DEFAULT: u64 = 256;

/// `major.minor` of a release such as `6.1.0-18-amd64`.
pub(super) fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `max_pages` is what `/proc/sys/fs/fuse/max_pages_limit` holds, where it is there.
pub(super) fn judge(release: &str, max_pages: Option<&str>) -> Check {
    let Some(version) = parse_release(release) else {
        let detail = format!("release {release:?} is not understood");
        return Check::warning(NAME, detail, "5.6 or later is needed; see `uname -r`");
    };
    if version < NEEDED {
        let detail = format!("{release} has no openat2(2), by which shares are confined");
        return Check::failed(NAME, detail, "boot Linux 5.6 or later");
    }
    let passthrough = if version >= PASSTHROUGH { "" } else { "no " };
    let detail = format!("{release}, {passthrough}FUSE passthrough");
    let limit = match max_pages.map(|text| text.trim().parse::<u64>()) {
        None => MAX_PAGES_DEFAULT,
        Some(Ok(pages)) => pages,
        Some(Err(error)) => {
            let detail = format!("{detail}; its limit of pages per request: {error}");
            return Check::warning(NAME, detail, "see `sysctl fs.fuse.max_pages_limit`");
        }
    };
    let detail = format!("{detail}, up to {limit} pages per FUSE request");
    if limit < MAX_PAGES_DEFAULT {
        let hint = format!(
            "`sysctl fs.fuse.max_pages_limit={MAX_PAGES_DEFAULT}`: smaller reads through the \
             mount cost more round trips"
        );
        return Check::warning(NAME, detail, hint);
    }
    Check::ok(NAME, detail)
}

/// The range of `/proc/sys/net/ipv4/ip_local_port_range`.
pub(super) fn parse_port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ports = text.split_ascii_whitespace().map(str::parse);
    let (first, last) = (ports.next()?.ok()?, ports.next()?.ok()?);
    (first <= last).then_some(first..=last)
}

/// A field of `/proc/meminfo`, in bytes.
pub(super) fn parse_memory_bytes(meminfo: &str, field: &str) -> Option<u64> {
    let value = meminfo
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?
        .trim()
        .strip_suffix("kB")?;
    value.trim().parse::<u64>().ok()?.checked_mul(1024)
}
