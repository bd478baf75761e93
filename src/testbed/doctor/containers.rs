//! What runs in containers need: an image, networks, rights.

use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use tokio::time::timeout;

use super::engine::{self, ENGINE};
use super::{Check, Options, Verdict, disk};
use crate::testbed::contract::IMAGE_DEFAULT;
use crate::testbed::image;
use crate::testbed::runtime::docker::subnets::Subnet;
use crate::testbed::runtime::docker::{Rights, Taken, probe_rights, taken_subnets};
use crate::testbed::runtime::{RunContext, RuntimeError};

const IMAGE: &str = "image";
const SUBNETS: &str = "free networks";
const RIGHTS: &str = "container rights";
const PRIVILEGED: &str = "privileged";

const PRIVILEGED_HINT: &str =
    "topologies with `privileged: true` will not run; others do not need it";

/// Free networks for one run of a dozen peers; fewer are told.
const SUBNETS_WANTED: usize = 16;
const SUBNET_PREFIX: u8 = 28;

/// Counting further says nothing more.
const SUBNETS_COUNTED_MAX: usize = 1 << 16;

/// Of what is taken, so many are named.
const TAKEN_NAMED_MAX: usize = 4;

/// One question that an engine answers from what it knows.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// The image is sent, hashed and stored; some 100 MiB in a debug build.
const BUILD_DEADLINE: Duration = Duration::from_secs(120);

/// Whether `--runtime docker` works by these checks. No engine is only a warning, for
/// runs go without one.
pub(super) fn work(checks: &[Check]) -> bool {
    let verdict = |name| checks.iter().find(|check| check.name == name).map(|check| check.verdict);
    verdict(ENGINE) == Some(Verdict::Ok)
        && [IMAGE, SUBNETS, RIGHTS]
            .map(verdict)
            .iter()
            .all(|found| found.is_some_and(|verdict| verdict != Verdict::Failed))
}

pub(super) async fn checks(options: &Options) -> Vec<Check> {
    let (found, docker) = engine::engine().await;
    let Some(docker) = docker else {
        // One line says what is wrong; these say that nothing more is known.
        let unknown = [IMAGE, SUBNETS, RIGHTS];
        let unknown =
            unknown.map(|name| Check::warning(name, "not looked at: no engine", "see engine"));
        return std::iter::once(found).chain(unknown).collect();
    };
    let mut checks = vec![found];
    checks.extend(engine_facts(&docker).await);
    checks.push(free_subnets(&docker, options.docker.pool_for(None)).await);
    let image = image(options).await;
    let can_start = image.verdict != Verdict::Failed;
    checks.push(image);
    checks.extend(rights(&docker, options, can_start).await);
    checks
}

async fn engine_facts(docker: &Docker) -> Vec<Check> {
    const HINT: &str = "look at the engine's log";
    let info = match timeout(ANSWER_DEADLINE, docker.info()).await {
        Ok(Ok(info)) => info,
        Ok(Err(error)) => {
            return vec![Check::warning("limits", format!("not known: {error}"), HINT)];
        }
        Err(_) => {
            let detail = format!("not known: no answer within {ANSWER_DEADLINE:?}");
            return vec![Check::warning("limits", detail, HINT)];
        }
    };
    const ROOT: &str = "disk (engine)";
    let root = info.docker_root_dir.as_deref().map(PathBuf::from);
    let disk = match root {
        Some(root) if root.is_dir() => disk::check(ROOT, root).await,
        Some(root) => {
            let detail = format!("{} is not visible from here", root.display());
            Check::warning(ROOT, detail, "`docker system df` says what the engine uses")
        }
        None => Check::warning(ROOT, "the engine does not say where it is", HINT),
    };
    vec![engine::limits(&info), disk]
}

async fn free_subnets(docker: &Docker, pool: Subnet) -> Check {
    const HINT: &str = "look at the engine's log";
    match timeout(ANSWER_DEADLINE, taken_subnets(docker)).await {
        Ok(Ok(taken)) => judge_subnets(pool, &taken),
        Ok(Err(error)) => Check::failed(SUBNETS, error.to_string(), HINT),
        Err(_) => Check::failed(SUBNETS, format!("no answer within {ANSWER_DEADLINE:?}"), HINT),
    }
}

pub(super) fn judge_subnets(pool: Subnet, taken: &[Taken]) -> Check {
    const HINT: &str =
        "remove leftovers with `dropbed gc`, or set DROPBED_NETWORK_POOL to another range";
    let subnets: Vec<_> = taken.iter().map(|taken| taken.subnet).collect();
    let free = pool.free(SUBNET_PREFIX, &subnets, 0).take(SUBNETS_COUNTED_MAX).count();
    let mut detail = format!("{free} of /{SUBNET_PREFIX} in {pool}");
    let mut within: Vec<&Taken> = Vec::new();
    for one in taken.iter().filter(|taken| taken.subnet.overlaps(pool)) {
        // A network of the engine has a route too.
        if !within.iter().any(|other| other.subnet == one.subnet) {
            within.push(one);
        }
    }
    if !within.is_empty() {
        let named = within.iter().take(TAKEN_NAMED_MAX);
        let named: Vec<_> =
            named.map(|taken| format!("{} by {}", taken.subnet, taken.by)).collect();
        let more = match within.len().saturating_sub(TAKEN_NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        detail = format!("{detail}; taken: {}{more}", named.join(", "));
    }
    match free {
        0 => Check::failed(SUBNETS, detail, HINT),
        1..SUBNETS_WANTED => Check::warning(SUBNETS, detail, HINT),
        _ => Check::ok(SUBNETS, detail),
    }
}

/// Made anew when it is the own one, as a run would.
async fn image(options: &Options) -> Check {
    let name = &options.docker.image;
    let looked = timeout(BUILD_DEADLINE, async {
        if name == IMAGE_DEFAULT && options.probe {
            let built = image::ensure_image(name, false).await?;
            let how = if built.rebuilt { "made now from" } else { "is" };
            return Ok(Check::ok(IMAGE, format!("{name} {how} this executable")));
        }
        Ok(judge_image(name, image::origin_of(name).await?.as_ref()))
    });
    match looked.await {
        Ok(Ok(check)) => check,
        Ok(Err(RuntimeError::Environment { what, hint })) => Check::failed(IMAGE, what, hint),
        Ok(Err(error)) => {
            let error: RuntimeError = error;
            Check::failed(IMAGE, error.to_string(), "look at the engine's log")
        }
        Err(_) => Check::failed(
            IMAGE,
            format!("{name}: no answer within {BUILD_DEADLINE:?}"),
            "look at the engine's log",
        ),
    }
}

pub(super) fn judge_image(name: &str, origin: Option<&image::Origin>) -> Check {
    const BUILD: &str = "build it with `dropbed image`";
    match origin.map(|origin| origin.warning(name)) {
        Some(None) => Check::ok(IMAGE, format!("{name} is this executable")),
        // `run` makes the own one anew, and no other.
        Some(Some(warning)) if name == IMAGE_DEFAULT => Check::warning(IMAGE, warning, BUILD),
        Some(Some(warning)) => Check::warning(IMAGE, warning, "unset DROPBED_IMAGE"),
        None if name == IMAGE_DEFAULT => {
            Check::warning(IMAGE, format!("{name} is not there yet"), BUILD)
        }
        None => {
            let hint = "unset DROPBED_IMAGE, or give the engine that image";
            Check::failed(IMAGE, format!("the engine has no image {name}"), hint)
        }
    }
}

/// Mounting is needed; all rights are only for topologies that ask for them.
async fn rights(docker: &Docker, options: &Options, can_start: bool) -> [Check; 2] {
    if !options.probe || !can_start {
        let why = if can_start { "not tried" } else { "not tried: no image" };
        return [RIGHTS, PRIVILEGED].map(|name| Check::warning(name, why, "see image"));
    }
    let context = RunContext::of_probe(&format!("doctor-{}", std::process::id()));
    let image = &options.docker.image;
    let (fuse, privileged) = tokio::join!(
        probe_rights(docker, image, &context, Rights::Fuse),
        probe_rights(docker, image, &context, Rights::Privileged),
    );
    let fuse = match fuse {
        Ok(()) => Check::ok(RIGHTS, "one with CAP_SYS_ADMIN and /dev/fuse mounted and unmounted"),
        Err(RuntimeError::Environment { what, hint }) => Check::failed(RIGHTS, what, hint),
        Err(error) => Check::failed(RIGHTS, error.to_string(), "look at the engine's log"),
    };
    let privileged = match privileged {
        Ok(()) => Check::ok(PRIVILEGED, "granted to topologies that ask for it"),
        Err(RuntimeError::Environment { what, .. }) => {
            Check::warning(PRIVILEGED, what, PRIVILEGED_HINT)
        }
        Err(error) => Check::warning(PRIVILEGED, error.to_string(), PRIVILEGED_HINT),
    };
    [fuse, privileged]
}
