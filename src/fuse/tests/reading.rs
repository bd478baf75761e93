//! The mount as applications see it, through a real kernel.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn bytes_arrive_whatever_the_sizes_and_offsets() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let data = pattern(BIG_BYTES);
    mounted.anna.put_file("docs/big", data.clone());
    mounted.anna.put_file("docs/empty", "");
    let (path, empty) = (mounted.path("anna/docs/big"), mounted.path("anna/docs/empty"));
    application(move || {
        assert!(fs::read(&path).unwrap() == data);
        assert!(fs::read(empty).unwrap().is_empty());
        // In steps that fit nothing.
        let mut file = File::open(&path).unwrap();
        let (mut step, mut at) = (vec![0; 70_001], 0);
        loop {
            let got = file.read(&mut step).unwrap();
            if got == 0 {
                break;
            }
            assert!(step[..got] == data[at..at + got], "at {at}");
            at += got;
        }
        assert_eq!(at, data.len());
        // Backwards, over the ends of pages and of the file.
        for at in (0..BIG_BYTES).rev().step_by(99_991) {
            let mut part = [0; 8193];
            let got = file.read_at(&mut part, at as u64).unwrap();
            assert!(got > 0 && part[..got] == data[at..at + got], "at {at}");
        }
        assert_eq!(file.seek(SeekFrom::End(5)).unwrap(), BIG_BYTES as u64 + 5);
        assert_eq!(file.read(&mut [0; 10]).unwrap(), 0);
    })
    .await;
    mounted.mount.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_threads_read_one_file() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let data = Arc::new(pattern(BIG_BYTES));
    mounted.anna.put_file("big", data.to_vec());
    let threads = (0..8_usize).map(|thread| {
        let (path, data) = (mounted.path("anna/big"), data.clone());
        application(move || {
            let file = File::open(path).unwrap();
            for turn in 0..50 {
                let at = (thread * 7919 + turn * 104_729) % BIG_BYTES;
                let mut part = vec![0; 1 + (turn * 4001) % 150_000];
                let got = file.read_at(&mut part, at as u64).unwrap();
                assert!(got > 0 && part[..got] == data[at..at + got]);
            }
        })
    });
    futures::future::join_all(threads).await;
    mounted.mount.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_a_thousand_lists_each_name_once() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let names: Vec<String> = (0..1000).map(|i| format!("file-{i:04}")).collect();
    for name in &names {
        mounted.anna.put_file(&format!("many/{name}"), name.clone());
    }
    let (root, many) = (mounted.path(""), mounted.path("anna/many"));
    let mut listed = application(move || {
        let root: Vec<_> = fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(root, ["anna"]);
        let entries = fs::read_dir(many).unwrap().map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().len(), 9);
            entry.file_name().into_string().unwrap()
        });
        entries.collect::<Vec<_>>()
    })
    .await;
    listed.sort();
    assert_eq!(listed, names);
    mounted.mount.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_written_and_nothing_is_made_up() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    mounted.anna.put_file("a", "text");
    let (share, file) = (mounted.path("anna"), mounted.path("anna/a"));
    let (missing, bert) = (mounted.path("anna/b"), mounted.path("bert"));
    application(move || {
        assert_eq!(errno(File::open(&missing)), Errno::NOENT);
        assert_eq!(errno(fs::metadata(bert)), Errno::NOENT);
        assert_eq!(errno(File::open(file.join("x"))), Errno::NOTDIR);
        assert_eq!(errno(File::create(missing)), Errno::ROFS);
        assert_eq!(errno(File::options().append(true).open(&file)), Errno::ROFS);
        assert_eq!(errno(fs::create_dir(share.join("d"))), Errno::ROFS);
        assert_eq!(errno(fs::remove_file(&file)), Errno::ROFS);
        assert_eq!(errno(fs::rename(&file, share.join("c"))), Errno::ROFS);
        assert_eq!(errno(fs::set_permissions(&file, mode())), Errno::ROFS);
        assert_eq!(rustix::fs::statvfs(&file).unwrap().f_namemax, 255);
    })
    .await;
    mounted.mount.unmount().await.unwrap();
}

fn mode() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o600)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_read_that_waits_holds_up_nobody() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    mounted.anna.put_file("slow", "slow");
    mounted.anna.put_file("fast", "fast");
    let gate = Arc::new(Semaphore::new(0));
    let behaviour = Behaviour { gate: Some(gate.clone()), ..Behaviour::default() };
    mounted.anna.set_behaviour("slow", behaviour);
    let slow = mounted.path("anna/slow");
    let reading = tokio::spawn(application({
        let slow = slow.clone();
        move || fs::read_to_string(slow)
    }));
    mounted.anna.reads().wait_for(|&reads| reads == 1).await.unwrap();
    let (share, fast) = (mounted.path("anna"), mounted.path("anna/fast"));
    application(move || {
        assert_eq!(fs::read_to_string(fast).unwrap(), "fast");
        assert_eq!(fs::metadata(&slow).unwrap().len(), 4);
        assert_eq!(fs::read_dir(share).unwrap().count(), 2);
    })
    .await;
    assert!(!reading.is_finished());
    gate.add_permits(1);
    assert_eq!(reading.await.unwrap().unwrap(), "slow");
    mounted.mount.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_reach_the_application_with_their_errno() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let (peer, path) = ("anna".to_owned(), "a".to_owned());
    let reason = "session closed".to_owned();
    let timed_out = FetchError::TimedOut { peer: peer.clone(), path, deadline_ms: 1 };
    let cases =
        [(FetchError::Unreachable { peer, reason }, Errno::IO), (timed_out, Errno::TIMEDOUT)];
    mounted.anna.put_file("a", pattern(BIG_BYTES));
    let path = mounted.path("anna/a");
    for (failure, expected) in cases {
        let behaviour = Behaviour { failure: Some(failure), ..Behaviour::default() };
        mounted.anna.set_behaviour("a", behaviour);
        let path = path.clone();
        assert_eq!(errno(application(move || fs::read(path)).await), expected);
    }
    for excess_bytes in [-1, 1] {
        mounted.anna.set_behaviour("a", Behaviour { excess_bytes, ..Behaviour::default() });
        let path = path.clone();
        assert_eq!(errno(application(move || fs::read(path)).await), Errno::IO);
    }
    mounted.mount.unmount().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_never_mix() {
    let Some(mounted) = Mounted::start(Handle::current()) else { return };
    let (old, new) = (vec![1_u8; BIG_BYTES], vec![2_u8; BIG_BYTES]);
    mounted.anna.put_file("a", old);
    let (path, anna) = (mounted.path("anna/a"), mounted.anna.clone());
    application(move || {
        let before = File::open(&path).unwrap();
        let mut part = [0; 10];
        before.read_exact_at(&mut part, 0).unwrap();
        assert_eq!(part, [1; 10]);
        anna.put_file("a", new.clone());
        // Opening asks the peer, however fresh the kernel's idea of the name is.
        assert!(fs::read(&path).unwrap() == new);
        // All pages of the new version are in the page cache now: none is shown to
        // who opened the old one.
        before.read_exact_at(&mut part, 0).unwrap();
        assert_eq!(part, [1; 10]);
        assert_eq!(errno(before.read_exact_at(&mut part, BIG_BYTES as u64 - 10)), Errno::STALE);
        assert_eq!(before.metadata().unwrap().len(), BIG_BYTES as u64);
    })
    .await;
    mounted.mount.unmount().await.unwrap();
}

#[test]
fn a_mount_without_its_runtime_fails_and_does_not_hang() {
    let serving = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let Some(mounted) = Mounted::start(serving.handle().clone()) else { return };
    mounted.anna.put_file("a", "text");
    let path = mounted.path("anna/a");
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    serving.shutdown_background();
    assert_eq!(errno(fs::read_to_string(&path)), Errno::IO);
}
