//! Pushes over several connections of a session, over TCP.

use std::os::unix::fs::FileExt as _;

use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

use super::peers::{Peers, relay, relay_up_to};
use super::*;
use crate::net;
use crate::secure::SessionHandle;

const SIZE_BYTES: u64 = 24 << 20;
const PART_BYTES: u32 = 64 << 10;

/// 192 MiB, of which each of four connections has three windows of a lane.
const LARGE_PARTS: u32 = 384;

/// Well below the silence that a push suffers by default: nothing is waited out.
const IN_TIME: Duration = Duration::from_secs(20);

async fn digest(mut push: client::Push) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    hasher.finalize()
}

#[tokio::test]
async fn every_lane_carries_its_share_in_order() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let peers = Peers::connect(share.path()).await;
    let mut lanes = vec![peers.session.clone()];
    for number in 1..4 {
        let lane = peers.add_lane_over(&peers.address).await;
        assert_eq!((lane.lane(), lane.peer_name()), (number, "sharer"));
        assert_eq!(lane.folds(), 1);
        lanes.push(lane);
    }
    let received = |lane: &SessionHandle| lane.counters().plain_bytes_received;
    let before: Vec<u64> = lanes.iter().map(received).collect();
    assert_eq!(digest(peers.push(4, PART_BYTES).await).await, sent);
    for (lane, before) in lanes.iter().zip(before) {
        let bytes = received(lane) - before;
        let fair = SIZE_BYTES / 4;
        assert!(bytes >= fair && bytes < fair + fair / 10, "{bytes} of {fair} bytes");
    }
    let before = received(&lanes[1]);
    assert_eq!(digest(peers.push(1, PART_BYTES).await).await, sent);
    assert_eq!(received(&lanes[1]), before, "nobody asked for lanes");
}

#[tokio::test]
async fn a_lane_that_dies_leaves_its_share_to_the_others() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let peers = Peers::connect(share.path()).await;
    let (address, relay) = relay(peers.address.clone()).await;
    let dying = peers.add_lane_over(&address).await;
    peers.add_lane_over(&peers.address).await;
    let mut push = peers.push(3, PART_BYTES).await;
    let mut hasher = blake3::Hasher::new();
    for _ in 0..10 {
        hasher.update(&push.next().await.unwrap().unwrap());
    }
    relay.abort();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    assert_eq!(hasher.finalize(), sent);
    dying.closed().await;
    assert_eq!(peers.client.sweep_lanes(), 2);
    // One that takes its place.
    peers.add_lane_over(&peers.address).await;
    assert_eq!(digest(peers.push(3, PART_BYTES).await).await, sent);
}

#[tokio::test]
async fn when_the_first_connection_dies_the_lanes_finish() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let mut peers = Peers::connect(share.path()).await;
    // A session through a relay whose lane goes straight.
    let (address, relay) = relay(peers.address.clone()).await;
    peers.dial_over(&address).await;
    peers.add_lane_over(&peers.address).await;
    let mut push = peers.push(2, PART_BYTES).await;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&push.next().await.unwrap().unwrap());
    relay.abort();
    while let Some(data) = push.next().await.unwrap() {
        hasher.update(&data);
    }
    assert_eq!(hasher.finalize(), sent);
}

#[tokio::test]
async fn a_session_has_so_many_lanes_and_no_more() {
    let share = tempfile::tempdir().unwrap();
    let peers = Peers::connect(share.path()).await;
    for _ in 0..crate::secure::lane::TICKETS {
        drop(peers.lane_over(&peers.address).await);
    }
    let again = net::join(&peers.address, &peers.session, &peers.identity, &peers.options).await;
    let error = again.unwrap_err().to_string();
    assert!(error.contains("has used all"), "{error}");
    assert!(peers.client.ping().await.is_ok(), "the session goes on");
}

/// Somebody who asks and does not read holds a window, and holds nobody up.
#[tokio::test]
async fn a_push_that_nobody_reads_is_bounded_and_alone() {
    let share = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(share.path().join("f")).unwrap();
    file.set_len(4 * u64::from(limits::WINDOW_BYTES)).unwrap();
    let peers = Peers::connect(share.path()).await;
    let mut unread = peers.push(1, PART_BYTES).await;
    unread.next().await.unwrap();
    let received = || peers.session.counters().plain_bytes_received;
    let window = u64::from(limits::WINDOW_BYTES);
    let filled = async {
        while received() < window * 9 / 10 {
            tokio::task::yield_now().await;
        }
    };
    timeout(IN_TIME, filled).await.expect("the window is not filled");
    // Others go on, more than is left of a window: nothing of it is taken by the first.
    let version = peers.client.stat("f").await.unwrap().version;
    for _ in 0..8 {
        Remote::read(&peers.client, "f", version, 0, limits::CHUNK_BYTES_MAX).await.unwrap();
    }
    let others = 8 * u64::from(limits::CHUNK_BYTES_MAX);
    assert!(received() < window + others + (4 << 20), "{} bytes", received());
    drop(unread);
}

/// A file in parts of the default size, each of which begins with its number.
fn write_numbered(share: &Path, parts: u32) -> blake3::Hash {
    let file = std::fs::File::create(share.join("f")).unwrap();
    let mut part = vec![0; usize::try_from(limits::PART_BYTES_DEFAULT).unwrap()];
    file.set_len(u64::from(parts) * part.len() as u64).unwrap();
    let mut hasher = blake3::Hasher::new();
    for number in 0..parts {
        // The rest of a part is a hole.
        part[..4].copy_from_slice(&number.to_be_bytes());
        file.write_all_at(&part[..4], u64::from(number) * part.len() as u64).unwrap();
        hasher.update(&part);
    }
    hasher.finalize()
}

/// A push over four connections, one of which ends when `ahead`, the others, have filled
/// a lane's window with what comes later.
async fn push_through_a_loss(
    peers: &Peers,
    ahead: &[SessionHandle],
    ending: JoinHandle<()>,
) -> blake3::Hash {
    let mut push = peers.push(4, limits::PART_BYTES_DEFAULT).await;
    assert_eq!(push.streams(), 4);
    let mut hasher = blake3::Hasher::new();
    for _ in 0..8 {
        hasher.update(&push.next().await.unwrap().unwrap());
    }
    let window = u64::from(limits::LANE_WINDOW_BYTES);
    let filled = async {
        while ahead.iter().any(|lane| lane.counters().plain_bytes_received < window) {
            tokio::task::yield_now().await;
        }
    };
    timeout(IN_TIME, filled).await.expect("the others do not get ahead");
    ending.abort();
    let rest = async {
        while let Some(data) = push.next().await.unwrap() {
            hasher.update(&data);
        }
        hasher.finalize()
    };
    timeout(IN_TIME, rest).await.expect("it hangs")
}

#[tokio::test]
async fn a_lane_that_dies_is_made_up_for_by_one_that_is_a_window_ahead() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_numbered(share.path(), LARGE_PARTS);
    let peers = Peers::connect(share.path()).await;
    let (address, relay) = relay(peers.address.clone()).await;
    let dying = peers.add_lane_over(&address).await;
    let mut ahead = Vec::new();
    for _ in 0..2 {
        ahead.push(peers.add_lane_over(&peers.address).await);
    }
    assert_eq!(push_through_a_loss(&peers, &ahead, relay).await, sent);
    dying.closed().await;
}

#[tokio::test]
async fn the_first_connection_is_made_up_for_by_a_lane_that_is_a_window_ahead() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_numbered(share.path(), LARGE_PARTS);
    let mut peers = Peers::connect(share.path()).await;
    // Less than its share, for which its window has room.
    let (address, relay) = relay_up_to(peers.address.clone(), 8 << 20).await;
    peers.dial_over(&address).await;
    let mut ahead = Vec::new();
    for _ in 0..3 {
        ahead.push(peers.add_lane_over(&peers.address).await);
    }
    assert_eq!(push_through_a_loss(&peers, &ahead, relay).await, sent);
}

#[tokio::test]
async fn a_lane_that_stalls_is_left_by_its_push_and_not_used_again() {
    let share = tempfile::tempdir().unwrap();
    let sent = write_sample(share.path(), "f", SIZE_BYTES);
    let deadlines = Deadlines { stall_ms: 5_000, ..Deadlines::default() };
    let peers = Peers::connect_with(share.path(), deadlines).await;
    // Less than its share.
    let (address, _relay) = relay_up_to(peers.address.clone(), 2 << 20).await;
    let stalling = peers.add_lane_over(&address).await;
    let other = peers.add_lane_over(&peers.address).await;
    let push = peers.push(3, PART_BYTES).await;
    assert_eq!(push.streams(), 3);
    assert_eq!(timeout(IN_TIME, digest(push)).await.expect("it hangs"), sent);
    assert!(!stalling.is_closed(), "it is silent, and up");

    let next = peers.push(3, PART_BYTES).await;
    assert_eq!(next.streams(), 2, "the lane that failed a push is not tried again");
    assert_eq!(digest(next).await, sent);
    assert_eq!(peers.client.sweep_lanes(), 2);
    let left: Vec<u8> = peers.client.lane_handles().iter().map(SessionHandle::lane).collect();
    assert_eq!(left, [other.lane()]);
}

/// Then it is the peer, or its disk, and not one lane after the other.
#[tokio::test]
async fn when_all_stall_no_lane_is_given_up() {
    let share = tempfile::tempdir().unwrap();
    write_sample(share.path(), "f", SIZE_BYTES);
    let deadlines = Deadlines { stall_ms: 500, ..Deadlines::default() };
    let mut peers = Peers::connect_with(share.path(), deadlines).await;
    let (first, _first) = relay_up_to(peers.address.clone(), 2 << 20).await;
    peers.dial_over(&first).await;
    let (second, _second) = relay_up_to(peers.address.clone(), 2 << 20).await;
    peers.add_lane_over(&second).await;
    let mut push = peers.push(2, PART_BYTES).await;
    assert_eq!(push.streams(), 2);
    let error = loop {
        match push.next().await {
            Ok(part) => assert!(part.is_some(), "it cannot be whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FetchError::TimedOut { .. }), "{error}");
    assert_eq!(peers.client.sweep_lanes(), 2);
}
