//! The testbed as somebody else's tests would use it.

use dropbed::proto::control::StatusRequest;
use dropbed::testbed::plan::TransferMode;
use dropbed::testbed::runtime::RuntimeKind;
use dropbed::testbed::{LiveTestbed, Testbed, TestbedError};
use dropbed::toxiproxy::api::ProxyUpdate;

use crate::support::{Need, alone, has, leftovers};

const TOPOLOGY: &str = "
version: 1
name: library
peers:
  alice: { mount: false }
  bob: {}
links:
  - { a: alice, b: bob, both: { rtt: 200ms }, dial: b }
dataset:
  - { peer: alice, path: f.bin, size: 256KiB }
scenario:
  steps:
    - transfer: { name: t, from: alice, to: bob, path: f.bin, mode: mount, expect: { rekeys: 0 } }
";

fn runtimes() -> Vec<RuntimeKind> {
    let mut runtimes = Vec::new();
    if has(Need::Fuse) {
        runtimes.push(RuntimeKind::Process);
        if has(Need::Docker) {
            runtimes.push(RuntimeKind::Docker);
        }
    }
    runtimes
}

fn bed(directory: &std::path::Path, runtime: RuntimeKind) -> Testbed {
    let file = directory.join("library.yaml");
    std::fs::write(&file, TOPOLOGY).expect("the directory is ours");
    Testbed::from_file(file).runtime(runtime).executable(env!("CARGO_BIN_EXE_dropbed"))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(work)
}

#[test]
fn a_bed_for_the_length_of_a_test() {
    for runtime in runtimes() {
        let _machine = alone();
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let run_id = run(async {
            let mut bed = bed(directory.path(), runtime).up().await.expect("it stands");
            assert_eq!(bed.peers().collect::<Vec<_>>(), ["alice", "bob"]);
            for mode in [TransferMode::Push, TransferMode::RequestResponse, TransferMode::Mount] {
                let read = bed.transfer("alice", "bob", "f.bin", mode).await.expect("it is read");
                assert_eq!((read.bytes, read.digest_equal), (256 << 10, true), "{mode:?}");
                let wall_ms = read.wall_ns / 1_000_000;
                assert!(wall_ms >= 200, "{mode:?} has taken a round trip: {wall_ms} ms");
            }
            let turns = bed.scenario().await.expect("its assertions hold");
            assert_eq!(turns.len(), 1);
            let mut control = bed.control("bob").expect("there is such a peer");
            let status = control.status(StatusRequest {}).await.expect("it answers").into_inner();
            assert!(status.mounted);
            say_what_there_is(&mut bed).await;

            // A broken link fails a transfer, with its own name.
            let update = ProxyUpdate { enabled: Some(false), ..ProxyUpdate::default() };
            bed.proxy().update("bob:alice", &update).await.expect("the proxy answers");
            let broken = bed.transfer("alice", "bob", "f.bin", TransferMode::Push).await;
            assert!(matches!(&broken, Err(TestbedError::Harness(_))), "{broken:?}");

            let run_id = bed.run_id().to_owned();
            bed.down().await.expect("it is removed");
            run_id
        });
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
    }
}

async fn say_what_there_is(bed: &mut LiveTestbed) {
    let error = bed.control("bobb").expect_err("there is no such peer").to_string();
    assert!(error.contains("bob"), "{error}");
    let error = bed.transfer("alice", "bob", "g.bin", TransferMode::Push).await;
    assert!(error.expect_err("no such file").to_string().contains("f.bin"));
    let error = bed.transfer("bob", "alice", "f.bin", TransferMode::Push).await;
    assert!(matches!(error, Err(TestbedError::Unknown { .. })));
}

/// As by a failed assertion in the middle of a test.
#[test]
fn a_bed_that_is_dropped_leaves_nothing() {
    for runtime in runtimes() {
        let _machine = alone();
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let run_id = run(async {
            let bed = bed(directory.path(), runtime).up().await.expect("it stands");
            bed.run_id().to_owned()
        });
        let left = leftovers(&run_id);
        assert!(left.is_empty(), "{runtime}: {left:#?}");
    }
}

#[test]
fn what_cannot_be_brought_up_says_why() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let wrong = bed(directory.path(), RuntimeKind::Process).set("peers.bob.mouth=true");
    let error = run(wrong.up()).expect_err("there is no such key").to_string();
    assert!(error.contains("mouth"), "{error}");
    let attached = bed(directory.path(), RuntimeKind::Attach);
    assert!(matches!(run(attached.up()), Err(TestbedError::Runtime(_))));
}
