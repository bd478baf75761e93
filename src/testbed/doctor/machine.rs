//! This machine itself: kernel, mount, addresses, descriptors, cores, memory.

use std::fs::read_to_string;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::time::timeout;

use super::{Check, Verdict, kernel};
use crate::fuse;
use crate::testbed::contract::LINK_PORT_FIRST;
use crate::testbed::runtime::procfs;

/// What `--runtime process` cannot do without, if the topology mounts.
const NEEDED: [&str; 4] = [kernel::NAME, DEVICE, MOUNTING, LOOPBACK];

const DEVICE: &str = "/dev/fuse";
const MOUNTING: &str = "mounting";
const LOOPBACK: &str = "loopback";

/// A mount takes milliseconds, and its own steps have deadlines of 5 s.
const MOUNT_DEADLINE: Duration = Duration::from_secs(15);

/// A daemon, a reader and the testbed share them.
const PROCESSORS_WANTED: usize = 2;

/// For the testbed and a dozen daemons with their windows.
const MEMORY_BYTES_WANTED: u64 = 1 << 30;

/// Both sockets of a connection, a timer, and the ends of two pipes, rounded up.
const DESCRIPTORS_PER_CONNECTION: u64 = 8;

/// What the proxy keeps for its API.
const DESCRIPTORS_RESERVED: u64 = 200;

/// A star of 32 peers has 62 links when both ends dial; each needs a connection.
const CONNECTIONS_WANTED: u64 = 64;

/// Link ports from [`LINK_PORT_FIRST`] on that the largest shipped topologies take.
const LINK_PORTS_WANTED: u16 = 1000;

/// Whether `--runtime process` works by these checks.
pub(super) fn works(checks: &[Check]) -> bool {
    checks
        .iter()
        .filter(|check| NEEDED.contains(&check.name))
        .all(|check| check.verdict != Verdict::Failed)
}

pub(super) async fn checks(probe: bool) -> Vec<Check> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let max_pages = read_to_string("/proc/sys/fs/fuse/max_pages_limit").ok();
    let device = fuse_device();
    // Without the device there is one thing to mend, and it has been said.
    let has_device = device.verdict == Verdict::Ok;
    vec![
        kernel::judge(&release, max_pages.as_deref()),
        device,
        mounting(probe && has_device).await,
        loopback(),
        ports(),
        descriptors(getrlimit(Resource::Nofile).maximum),
        processors(),
        memory(&read_to_string("/proc/meminfo").unwrap_or_default()),
    ]
}

fn fuse_device() -> Check {
    match std::fs::File::options().read(true).write(true).open(DEVICE) {
        Ok(_) => Check::ok(DEVICE, "can be opened"),
        Err(error) => Check::failed(
            DEVICE,
            format!("cannot be opened: {error}"),
            "load the kernel module fuse (`modprobe fuse`), or pass the device into this container",
        ),
    }
}

async fn mounting(probe: bool) -> Check {
    const HINT: &str = "allow this user to mount, or install the package fuse3";
    let by = match (procfs::has_sys_admin(), procfs::find_on_path("fusermount3")) {
        (true, _) => "with CAP_SYS_ADMIN".to_owned(),
        (false, Some(tool)) => format!("by {}", tool.display()),
        (false, None) => {
            let detail = "neither CAP_SYS_ADMIN nor fusermount3";
            return Check::failed(MOUNTING, detail, "install the package fuse3");
        }
    };
    if !probe {
        return Check::warning(MOUNTING, format!("not tried; it would be {by}"), "see /dev/fuse");
    }
    let directory = match tempfile::tempdir() {
        Ok(directory) => directory,
        Err(error) => {
            let detail = format!("not tried: no temporary directory: {error}");
            return Check::warning(MOUNTING, detail, "set TMPDIR to a directory that is writable");
        }
    };
    match timeout(MOUNT_DEADLINE, fuse::trial(directory.path(), "doctor")).await {
        Ok(Ok(())) => Check::ok(MOUNTING, format!("mounted, listed and unmounted {by}")),
        Ok(Err(error)) => {
            let source = std::error::Error::source(&error);
            let why = source.map(|source| format!(": {source}")).unwrap_or_default();
            Check::failed(MOUNTING, format!("{error}{why}"), HINT)
        }
        Err(_) => Check::failed(MOUNTING, format!("no end within {MOUNT_DEADLINE:?}"), HINT),
    }
}

/// Each process of a run has an address of its own.
fn loopback() -> Check {
    let second = Ipv4Addr::new(127, 0, 0, 2);
    match TcpListener::bind((second, 0)) {
        Ok(_) => Check::ok(LOOPBACK, "127.0.0.x can be listened on"),
        Err(error) => Check::failed(
            LOOPBACK,
            format!("{second} cannot be listened on: {error}"),
            "bring the interface lo up; other systems than Linux have 127.0.0.1 only: \
             use `--runtime docker`",
        ),
    }
}

fn ports() -> Check {
    const NAME: &str = "ports";
    let file = "/proc/sys/net/ipv4/ip_local_port_range";
    let text = read_to_string(file).unwrap_or_default();
    judge_ports(kernel::parse_port_range(&text).as_ref()).unwrap_or_else(|| {
        let hint = format!("the kernel must not hand out ports from {LINK_PORT_FIRST} on");
        Check::warning(NAME, format!("{file} is not understood: {text:?}"), hint)
    })
}

/// None, where the range is not known.
pub(super) fn judge_ports(ephemeral: Option<&std::ops::RangeInclusive<u16>>) -> Option<Check> {
    const NAME: &str = "ports";
    let (first, last) = (*ephemeral?.start(), *ephemeral?.end());
    let links_end = LINK_PORT_FIRST + LINK_PORTS_WANTED;
    let detail = format!("the kernel hands out {first} to {last}, links take {LINK_PORT_FIRST} on");
    if first >= links_end || last < LINK_PORT_FIRST {
        return Some(Check::ok(NAME, detail));
    }
    let hint = format!(
        "`sysctl net.ipv4.ip_local_port_range=\"32768 60999\"`: where links have fixed ports \
         (`--runtime attach`), a connection of this machine may have taken one below {links_end}"
    );
    Some(Check::warning(NAME, detail, hint))
}

/// `limit`: of a process, none when there is none. The proxy raises its own to it.
pub(super) fn descriptors(limit: Option<u64>) -> Check {
    const NAME: &str = "descriptors";
    let Some(limit) = limit else { return Check::ok(NAME, "no limit") };
    let connections = limit.saturating_sub(DESCRIPTORS_RESERVED) / DESCRIPTORS_PER_CONNECTION;
    let detail = format!("{limit} for a process: {connections} connections through the proxy");
    if connections >= CONNECTIONS_WANTED {
        return Check::ok(NAME, detail);
    }
    let wanted = CONNECTIONS_WANTED * DESCRIPTORS_PER_CONNECTION + DESCRIPTORS_RESERVED;
    let hint = format!("raise the hard limit (`ulimit -Hn`) to {wanted} for 32 peers");
    Check::warning(NAME, detail, hint)
}

fn processors() -> Check {
    const NAME: &str = "processors";
    const HINT: &str =
        "peers, proxy and testbed will wait for each other: believe ratios, not times";
    match std::thread::available_parallelism().map(usize::from) {
        Ok(count) if count >= PROCESSORS_WANTED => Check::ok(NAME, count.to_string()),
        Ok(count) => Check::warning(NAME, count.to_string(), HINT),
        Err(error) => Check::warning(NAME, format!("not known: {error}"), HINT),
    }
}

pub(super) fn memory(meminfo: &str) -> Check {
    const NAME: &str = "memory";
    let field = |name| kernel::parse_memory_bytes(meminfo, name);
    let (Some(available), Some(total)) = (field("MemAvailable"), field("MemTotal")) else {
        let detail = "/proc/meminfo does not say how much is available";
        return Check::warning(NAME, detail, "a run of two peers takes some 100 MiB");
    };
    let detail = format!("{} of {} MiB available", available >> 20, total >> 20);
    if available >= MEMORY_BYTES_WANTED {
        return Check::ok(NAME, detail);
    }
    Check::warning(NAME, detail, "end something else, or run fewer peers")
}
