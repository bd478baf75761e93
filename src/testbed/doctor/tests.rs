use super::*;
use crate::testbed::image::Origin;
use crate::testbed::runtime::docker::Taken;

fn diagnosis(run_takes: RuntimeKind, process_works: bool, docker_works: bool) -> Diagnosis {
    let checks = vec![
        Check::ok("processors", "2"),
        Check::failed("/dev/fuse", "cannot be opened", "modprobe fuse"),
        Check::warning("privileged", "refused:\nEPERM", "leave it out"),
    ];
    Diagnosis { checks, process_works, docker_works, run_takes, why: "no engine".to_owned() }
}

#[test]
fn what_a_run_would_take_decides() {
    use RuntimeKind::{Attach, Docker, Process};
    for (run_takes, process_works, docker_works, can_run, words) in [
        (Process, true, false, true, "the runtime process here (no engine): that works."),
        (Process, false, true, false, "`--runtime docker` does."),
        (Docker, true, false, false, "`--runtime process` does."),
        (Docker, false, true, true, "the runtime docker here (no engine): that works."),
        (Docker, false, false, false, "see what failed above"),
        (Attach, false, false, true, "shows when it runs"),
    ] {
        let diagnosis = diagnosis(run_takes, process_works, docker_works);
        let sentence = render::sentence(&diagnosis);
        assert_eq!(diagnosis.can_run(), can_run, "{sentence}");
        assert!(sentence.contains(words), "{words}: {sentence}");
    }
}

#[test]
fn the_text_has_columns_and_every_hint() {
    let diagnosis = diagnosis(RuntimeKind::Process, true, false);
    assert_eq!(
        render(&diagnosis, false),
        "ok       processors  2\n\
         failed   /dev/fuse   cannot be opened\n                     hint: modprobe fuse\n\
         warning  privileged  refused:\n                     EPERM\n                     \
         hint: leave it out\n\
         `dropbed run` takes the runtime process here (no engine): that works.\n"
    );
    let coloured = render(&diagnosis, true);
    assert!(coloured.contains("\u{1b}[31mfailed \u{1b}[0m  /dev/fuse"), "{coloured:?}");
    let json = serde_json::to_value(&diagnosis).unwrap();
    assert_eq!(json["checks"][1]["verdict"], "failed");
    assert_eq!(json["checks"][2]["verdict"], "warning");
    assert_eq!(json["run_takes"], "process");
}

#[test]
fn the_variable_names_a_runtime_or_is_refused() {
    assert_eq!(asked(None).unwrap(), None);
    assert_eq!(asked(Some("auto")).unwrap(), None);
    assert_eq!(asked(Some("docker")).unwrap(), Some(RuntimeKind::Docker));
    let error = asked(Some("swarm")).unwrap_err().to_string();
    assert!(error.contains("DROPBED_RUNTIME") && error.contains("swarm"), "{error}");
}

#[test]
fn kernels_are_told_apart() {
    for (release, version) in [
        ("6.18.44-fc-v657", Some((6, 18))),
        ("5.6", Some((5, 6))),
        ("6.1.0-18-amd64\n", Some((6, 1))),
        ("6.9-rc1", Some((6, 9))),
        ("six", None),
        ("6", None),
        ("", None),
    ] {
        assert_eq!(kernel::parse_release(release), version, "{release}");
    }
    let verdict = |release, pages| kernel::judge(release, pages).verdict;
    assert_eq!(verdict("5.5.19", None), Verdict::Failed);
    assert_eq!(verdict("5.6.0", None), Verdict::Ok);
    assert_eq!(verdict("6.18.1", Some("256\n")), Verdict::Ok);
    assert_eq!(verdict("6.18.1", Some("32\n")), Verdict::Warning);
    assert_eq!(verdict("6.18.1", Some("many")), Verdict::Warning);
    assert_eq!(verdict("plan9", None), Verdict::Warning);
    assert!(kernel::judge("6.8.9", None).detail.contains("no FUSE passthrough"));
    assert!(!kernel::judge("6.9.0", None).detail.contains("no FUSE passthrough"));
}

#[test]
fn ports_that_the_kernel_hands_out_must_not_be_links() {
    let verdict = |text: &str| {
        let range = kernel::parse_port_range(text);
        machine::judge_ports(range.as_ref()).map(|check| check.verdict)
    };
    assert_eq!(verdict("32768\t60999\n"), Some(Verdict::Ok));
    assert_eq!(verdict("22000 60999"), Some(Verdict::Ok));
    assert_eq!(verdict("21999 60999"), Some(Verdict::Warning));
    assert_eq!(verdict("1024 20999"), Some(Verdict::Ok));
    assert_eq!(verdict("1024 21000"), Some(Verdict::Warning));
    for text in ["", "1024", "60999 1024", "a b"] {
        assert_eq!(verdict(text), None, "{text}");
    }
}

#[test]
fn descriptors_and_memory_are_held_against_what_runs_take() {
    assert_eq!(machine::descriptors(None).verdict, Verdict::Ok);
    assert_eq!(machine::descriptors(Some(712)).verdict, Verdict::Ok);
    assert_eq!(machine::descriptors(Some(711)).verdict, Verdict::Warning);
    assert_eq!(machine::descriptors(Some(10)).verdict, Verdict::Warning);
    let memory = |kib: u64| {
        machine::memory(&format!("MemTotal: {kib} kB\nMemFree: 1 kB\nMemAvailable:   {kib} kB\n"))
    };
    assert_eq!(memory(1 << 20).verdict, Verdict::Ok);
    assert_eq!(memory((1 << 20) - 1).verdict, Verdict::Warning);
    assert_eq!(machine::memory("MemTotal: 1 kB\n").verdict, Verdict::Warning);
    assert_eq!(machine::memory("").verdict, Verdict::Warning);
}

#[test]
fn networks_that_collide_are_named() {
    let pool = "10.213.0.0/24".parse().unwrap();
    let taken =
        |subnet: &str, by: &str| Taken { subnet: subnet.parse().unwrap(), by: by.to_owned() };
    let elsewhere = taken("172.17.0.0/16", "network bridge");
    let check = containers::judge_subnets(pool, std::slice::from_ref(&elsewhere));
    assert_eq!((check.verdict, check.detail.as_str()), (Verdict::Ok, "16 of /28 in 10.213.0.0/24"));
    let some = [
        elsewhere,
        taken("10.213.0.16/28", "network r1-net-bob"),
        taken("10.213.0.16/28", "route of br-1"),
        taken("10.213.0.32/27", "route of tun0"),
    ];
    let check = containers::judge_subnets(pool, &some);
    assert_eq!(check.verdict, Verdict::Warning);
    assert!(check.detail.starts_with("13 of "), "{}", check.detail);
    assert!(check.detail.contains("10.213.0.32/27 by route of tun0"), "{}", check.detail);
    assert!(check.detail.contains("network r1-net-bob"), "{}", check.detail);
    assert!(!check.detail.contains("br-1"), "a network's own route says nothing more");
    let check = containers::judge_subnets(pool, &[taken("10.0.0.0/8", "route of tun0")]);
    assert_eq!(check.verdict, Verdict::Failed);
    assert!(check.hint.contains("DROPBED_NETWORK_POOL"));
}

#[test]
fn an_image_that_is_not_this_executable_is_told() {
    let other = Origin::Other { found: "it was made from x".to_owned(), here: "y".to_owned() };
    let judge = |name, origin| containers::judge_image(name, origin);
    assert_eq!(judge("dropbed:local", Some(&Origin::ThisExecutable)).verdict, Verdict::Ok);
    assert_eq!(judge("dropbed:local", Some(&other)).verdict, Verdict::Warning);
    assert_eq!(judge("dropbed:local", None).verdict, Verdict::Warning);
    assert_eq!(judge("mine:1", Some(&Origin::ThisExecutable)).verdict, Verdict::Ok);
    assert_eq!(judge("mine:1", Some(&other)).verdict, Verdict::Warning);
    assert_eq!(judge("mine:1", None).verdict, Verdict::Failed);
}

#[test]
fn limits_that_an_engine_lacks_are_told() {
    let info = |memory, cpus| bollard::models::SystemInfo {
        memory_limit: memory,
        cpu_cfs_quota: cpus,
        ..bollard::models::SystemInfo::default()
    };
    assert_eq!(engine::limits(&info(Some(true), Some(true))).verdict, Verdict::Ok);
    let check = engine::limits(&info(Some(false), None));
    assert_eq!(check.verdict, Verdict::Warning);
    assert!(check.detail.contains("memory cannot") && check.detail.contains("not said"));
}

#[test]
fn containers_work_only_with_an_engine_and_all_that_they_need() {
    let checks = |engine: fn(&'static str, &str) -> Check, rights: Verdict| {
        ["engine", "image", "free networks", "container rights"].map(|name| match name {
            "engine" => engine(name, "20.10"),
            "container rights" => Check { verdict: rights, ..Check::ok(name, "") },
            _ => Check::ok(name, ""),
        })
    };
    let ok = |name, detail: &str| Check::ok(name, detail);
    let none = |name, detail: &str| Check::warning(name, detail, "start Docker");
    assert!(containers::work(&checks(ok, Verdict::Ok)));
    assert!(containers::work(&checks(ok, Verdict::Warning)));
    assert!(!containers::work(&checks(ok, Verdict::Failed)));
    assert!(!containers::work(&checks(none, Verdict::Ok)));
    assert!(!containers::work(&checks(ok, Verdict::Ok)[..3]), "what was not looked at");
}

#[tokio::test]
async fn a_tool_that_fails_or_is_missing_has_no_version() {
    assert_eq!(engine::version_of("/bin/sh", &["-c", "echo 1.2; exit 1"]).await, None);
    assert_eq!(engine::version_of("/nonexistent/tool", &[]).await, None);
    let version = engine::version_of("/bin/sh", &["-c", "echo ' 1.2 '; echo more"]).await;
    assert_eq!(version.as_deref(), Some("1.2"));
}

#[tokio::test]
async fn a_directory_that_is_not_made_yet_is_measured_where_it_will_be() {
    let parent = tempfile::tempdir().unwrap();
    let there = disk::check("disk", parent.path().to_owned()).await;
    let not_yet = disk::check("disk", parent.path().join("runs/deeper")).await;
    assert_eq!(there.verdict, not_yet.verdict);
    let place = parent.path().display().to_string();
    assert!(not_yet.detail.ends_with(&place), "{}", not_yet.detail);
}
