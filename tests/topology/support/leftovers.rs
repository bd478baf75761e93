//! Everything that carries a run's id and is still there.

use std::collections::HashMap;
use std::fs;

use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};

/// Containers, networks, volumes, processes, mounts and directories of a run.
pub(crate) fn leftovers(run_id: &str) -> Vec<String> {
    assert!(!run_id.is_empty(), "the run wrote no id, so nothing can be looked for");
    let mut left = processes(run_id);
    left.extend(mounts(run_id));
    left.extend(directories(run_id));
    left.extend(in_engine(run_id));
    left
}

fn processes(run_id: &str) -> Vec<String> {
    let wanted = format!("DROPBED_RUN_ID={run_id}");
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").expect("procfs is mounted").flatten() {
        // A process may end while we look: then it is not left.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes()) {
            left.push(format!("process {}", entry.file_name().to_string_lossy()));
        }
    }
    left
}

fn mounts(run_id: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("procfs is mounted");
    table.lines().filter(|line| line.contains(run_id)).map(|line| format!("mount {line}")).collect()
}

fn directories(run_id: &str) -> Vec<String> {
    let entries = fs::read_dir(std::env::temp_dir()).expect("there is a temporary directory");
    entries
        .flatten()
        .map(|entry| entry.path())
        // A run's directory says whose it is in its second line.
        .filter(|path| {
            fs::read_to_string(path.join(".owner"))
                .is_ok_and(|text| text.lines().nth(1) == Some(run_id))
        })
        .map(|path| format!("directory {}", path.display()))
        .collect()
}

fn in_engine(run_id: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let Ok(docker) = Docker::connect_with_defaults() else { return Vec::new() };
        if docker.ping().await.is_err() {
            return Vec::new();
        }
        let label = HashMap::from([("label", vec![format!("dropbed.run={run_id}")])]);
        let containers = ListContainersOptionsBuilder::new().all(true).filters(&label).build();
        let containers = docker.list_containers(Some(containers)).await.expect("engine lists");
        let networks = ListNetworksOptionsBuilder::new().filters(&label).build();
        let networks = docker.list_networks(Some(networks)).await.expect("engine lists");
        let volumes = ListVolumesOptionsBuilder::new().filters(&label).build();
        let volumes = docker.list_volumes(Some(volumes)).await.expect("engine lists");
        let mut left: Vec<String> =
            containers.iter().map(|c| format!("container {:?}", c.names)).collect();
        left.extend(networks.iter().map(|n| format!("network {:?}", n.name)));
        left.extend(volumes.volumes.iter().flatten().map(|v| format!("volume {}", v.name)));
        left
    })
}
