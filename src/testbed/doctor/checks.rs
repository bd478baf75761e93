//! One function per check.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Check, Options};
use crate::testbed::image::is_static;
use crate::testbed::runtime::docker::{
    self, check_ports_reach_us, engine_answers, probe_fuse, subnets::Subnet, taken_subnets,
};
use crate::testbed::runtime::{RuntimeError, procfs};

/// Free networks for one run of a dozen peers; fewer are told.
const SUBNETS_WANTED: usize = 16;
const SUBNET_PREFIX: u8 = 28;

/// A daemon, a reader and the testbed share them.
const PROCESSORS_WANTED: usize = 2;

/// Room for test files, caches and the image of one run.
const DISK_BYTES_WANTED: u64 = 4 << 30;

/// A tool that does not tell its version within this is as good as none.
const TOOL_DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn fuse_device() -> Check {
    const NAME: &str = "/dev/fuse";
    match std::fs::File::options().read(true).write(true).open(NAME) {
        Ok(_) => Check::ok(NAME, "can be opened"),
        Err(error) => Check::fail(
            NAME,
            format!("cannot be opened: {error}"),
            "load the kernel module fuse (`modprobe fuse`), or pass the device into this container",
        ),
    }
}

pub(super) fn mount_rights() -> Check {
    const NAME: &str = "mounting";
    match (procfs::has_sys_admin(), procfs::find_on_path("fusermount3")) {
        (true, _) => Check::ok(NAME, "this process has CAP_SYS_ADMIN"),
        (false, Some(tool)) => Check::ok(NAME, format!("by {}", tool.display())),
        (false, None) => {
            Check::fail(NAME, "neither CAP_SYS_ADMIN nor fusermount3", "install the package fuse3")
        }
    }
}

pub(super) fn static_executable() -> Check {
    const NAME: &str = "static executable";
    const HINT: &str = "build it in this repository: `cargo build --release`";
    let bytes = std::env::current_exe().and_then(std::fs::read);
    match bytes.map(|bytes| is_static(&bytes)) {
        Ok(Ok(true)) => Check::ok(NAME, "it runs in an empty image"),
        Ok(Ok(false)) => Check::fail(NAME, "it needs a dynamic loader", HINT),
        Ok(Err(error)) => Check::fail(NAME, error.to_string(), HINT),
        Err(error) => Check::fail(NAME, format!("it cannot be read: {error}"), HINT),
    }
}

/// The engine, if its containers are of use to us.
pub(super) async fn engine() -> (Check, Option<Docker>) {
    const NAME: &str = "engine";
    let connected = async {
        check_ports_reach_us(std::env::var("DOCKER_HOST").ok().as_deref())?;
        docker::connect().await
    };
    match (connected.await, engine_answers().await) {
        (Ok(docker), Ok(info)) => {
            let detail = format!("{}, API {}, at {}", info.version, info.api_version, info.host);
            (Check::ok(NAME, detail), Some(docker))
        }
        (Err(RuntimeError::Environment { what, hint }), _) => (Check::warn(NAME, what, hint), None),
        (Err(error), _) => (Check::warn(NAME, error.to_string(), "start Docker"), None),
        (Ok(_), Err(why)) => (Check::warn(NAME, why, "start Docker"), None),
    }
}

pub(super) async fn free_subnets(docker: &Docker, pool: Subnet) -> Check {
    const NAME: &str = "free networks";
    const HINT: &str =
        "remove leftovers with `dropbed gc`, or set DROPBED_NETWORK_POOL to another range";
    let taken = match taken_subnets(docker).await {
        Ok(taken) => taken,
        Err(error) => return Check::fail(NAME, error.to_string(), "look at the engine's log"),
    };
    let detail = |free: usize| format!("{free} of /{SUBNET_PREFIX} in {pool}");
    match pool.free(SUBNET_PREFIX, &taken, 0).count() {
        0 => Check::fail(NAME, detail(0), HINT),
        free if free < SUBNETS_WANTED => Check::warn(NAME, detail(free), HINT),
        free => Check::ok(NAME, detail(free)),
    }
}

pub(super) async fn container_rights(docker: &Docker, options: &Options) -> Check {
    const NAME: &str = "container rights";
    if !options.probe {
        return Check::warn(NAME, "not looked at", "probe by starting a container");
    }
    if docker.inspect_image(&options.docker.image).await.is_err() {
        let detail = format!("not looked at: the engine has no image {}", options.docker.image);
        return Check::warn(NAME, detail, "build it with `dropbed image`");
    }
    let run_id = format!("doctor-{}", std::process::id());
    match probe_fuse(docker, &options.docker.image, &run_id).await {
        Ok(()) => Check::ok(NAME, "CAP_SYS_ADMIN, /dev/fuse and AppArmor unconfined are granted"),
        Err(RuntimeError::Environment { what, hint }) => Check::fail(NAME, what, hint),
        Err(error) => Check::fail(NAME, error.to_string(), "look at the engine's log"),
    }
}

/// Either generation serves; neither is needed but for the demo.
pub(super) async fn compose() -> Check {
    const NAME: &str = "compose";
    let candidates: [(&str, &[&str]); 2] = [
        ("docker", &["compose", "version", "--short"]),
        ("docker-compose", &["version", "--short"]),
    ];
    for (program, arguments) in candidates {
        if let Some(version) = version_of(program, arguments).await {
            let by = if program == "docker" { "docker compose" } else { program };
            return Check::ok(NAME, format!("{by} {version}"));
        }
    }
    Check::warn(
        NAME,
        "neither docker compose nor docker-compose answers",
        "install the package docker-compose for the demo; `dropbed run` does not need it",
    )
}

pub(super) fn processors() -> Check {
    const NAME: &str = "processors";
    match std::thread::available_parallelism().map(usize::from) {
        Ok(count) if count >= PROCESSORS_WANTED => Check::ok(NAME, count.to_string()),
        Ok(count) => Check::warn(
            NAME,
            count.to_string(),
            "peers, proxy and testbed will wait for each other: believe ratios, not times",
        ),
        Err(error) => Check::warn(NAME, error.to_string(), "believe ratios, not times"),
    }
}

pub(super) fn disk_space(directory: &Path) -> Check {
    const NAME: &str = "disk space";
    let hint = "free some, or make smaller samples";
    match rustix::fs::statvfs(directory) {
        Ok(space) => {
            let free_bytes = space.f_bavail.saturating_mul(space.f_frsize);
            let detail = format!("{} MiB at {}", free_bytes >> 20, directory.display());
            if free_bytes < DISK_BYTES_WANTED {
                Check::warn(NAME, detail, hint)
            } else {
                Check::ok(NAME, detail)
            }
        }
        Err(error) => Check::warn(NAME, format!("{}: {error}", directory.display()), hint),
    }
}

/// The first line that the program prints; none unless it succeeds.
pub(super) async fn version_of(program: &str, arguments: &[&str]) -> Option<String> {
    let running = Command::new(program).args(arguments).kill_on_drop(true).output();
    let output = timeout(TOOL_DEADLINE, running).await.ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
