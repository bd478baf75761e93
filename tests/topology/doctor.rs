//! `dropbed doctor`, and images that are not this executable.

use std::collections::HashMap;
use std::fs;

use bollard::body_full;
use bollard::query_parameters::{BuildImageOptionsBuilder, RemoveImageOptionsBuilder};
use futures::StreamExt as _;
use serde_json::Value;

use crate::kills::SMALL;
use crate::support::bystanders::in_engine;
use crate::support::{Need, Run, dropbed, has};

#[test]
fn every_check_has_a_verdict_and_a_way_out() {
    let output = dropbed(["doctor", "--json"]).env_remove("DROPBED_RUNTIME").output();
    let output = output.expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("stdout is JSON");
    let checks = report["checks"].as_array().expect("`checks` is a list");
    let mut names = Vec::new();
    for check in checks {
        let verdict = check["verdict"].as_str().expect("each has one");
        assert!(["ok", "warning", "failed"].contains(&verdict), "{check}");
        assert_eq!(check["hint"] == "", verdict == "ok", "{check}");
        assert_ne!(check["detail"], "", "{check}");
        names.push(check["name"].as_str().expect("each has one"));
    }
    for name in [
        "kernel",
        "/dev/fuse",
        "mounting",
        "loopback",
        "ports",
        "descriptors",
        "processors",
        "memory",
        "engine",
        "free networks",
        "image",
        "container rights",
        "compose",
        "disk (runs)",
        "disk (temporary)",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    let runtime = report["run_takes"].as_str().expect("it takes one");
    let works = &report[format!("{runtime}_works")];
    let code = if works == true { 0 } else { 3 };
    assert_eq!(output.status.code(), Some(code), "{report:#}");
}

/// Without an engine a run takes processes; asked for containers, it cannot work.
#[test]
fn no_engine() {
    for (runtime, codes) in [("auto", [0, 3]), ("docker", [3, 3])] {
        let output = dropbed(["doctor"])
            .env("DOCKER_HOST", "tcp://127.0.0.1:1")
            .env("DROPBED_RUNTIME", runtime)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = output.status.code().expect("it ends by itself");
        assert!(codes.contains(&code), "{runtime}: {code}\n{said}");
        assert!(said.contains("warning  engine"), "{said}");
        assert!(!said.contains('\u{1b}'), "no colours in a pipe:\n{said}");
        let last = said.lines().last().expect("there is a last line");
        let takes = if runtime == "auto" { "process" } else { "docker" };
        assert!(last.contains(&format!("takes the runtime {takes} here")), "{last}");
    }
}

#[test]
fn a_runtime_that_does_not_exist() {
    let output = dropbed(["doctor"]).env("DROPBED_RUNTIME", "swarm").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("DROPBED_RUNTIME") && said.contains("swarm"), "{said}");
}

/// An image with the labels that a build of `dropbed` gives; removed when dropped.
struct Image(String);

impl Image {
    /// A layer of labels upon `dropbed:local`, so it holds what can run.
    fn build(labels: &HashMap<&str, &str>) -> Self {
        let name = format!("dropbed-test-origin:{}", std::process::id());
        let file = b"FROM dropbed:local\n";
        let mut context = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(file.len() as u64);
        header.set_mode(0o644);
        context.append_data(&mut header, "Dockerfile", file.as_slice()).expect("it is in memory");
        let context = context.into_inner().expect("it is in memory");
        in_engine(async |docker| {
            let options = BuildImageOptionsBuilder::new().t(&name).labels(labels).rm(true).build();
            let steps = docker.build_image(options, None, Some(body_full(context.into())));
            let mut steps = std::pin::pin!(steps);
            while let Some(step) = steps.next().await {
                step.expect("the engine builds");
            }
        });
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        in_engine(async |docker| {
            let options = RemoveImageOptionsBuilder::new().force(true).build();
            docker.remove_image(&self.0, Some(options), None).await.expect("it was built");
        });
    }
}

/// Both versions are named, and the run goes on: somebody may want just that.
#[test]
fn an_image_of_another_dropbed() {
    if !has(Need::Fuse) || !has(Need::Docker) {
        return;
    }
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let topology = home.path().join("small.yaml");
    fs::write(&topology, SMALL).expect("the directory is ours");
    let run = Run::new(&topology.display().to_string(), "docker");
    // The image that the new one is built upon must be this executable's.
    assert!(dropbed(["image"]).status().expect("it runs").success());
    let labels = HashMap::from([
        ("dropbed.version", "0.0.7"),
        ("dropbed.executable.blake3", "0123456789abcdef0123456789abcdef"),
    ]);
    let image = Image::build(&labels);
    let ended = run.env("DROPBED_IMAGE", &image.0).finish();
    let here = env!("CARGO_PKG_VERSION");
    for word in [image.0.as_str(), "0.0.7", "0123456789ab", here, "DROPBED_IMAGE"] {
        assert!(ended.stderr.contains(word), "{word} is missing in\n{}", ended.stderr);
    }
    assert_eq!(ended.result(0)["outcome"], "pass");
    ended.assert_nothing_left();

    let output = dropbed(["doctor"]).env("DROPBED_IMAGE", &image.0).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("warning  image") && said.contains("0.0.7"), "{said}");
}
