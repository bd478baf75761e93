//! What a push costs in records.

use super::peers::Peers;
use super::*;

const MIB: u64 = 64;

/// Each part is one DATA frame of 512 KiB, and that is one record together with the small
/// frame before it: both are queued at once, and on one thread nothing runs in between.
/// Two records for each frame would be 4 for a MiB, records of 64 KiB 16.
#[tokio::test]
async fn a_part_is_one_frame_is_one_record() {
    let share = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(share.path().join("f")).unwrap();
    file.set_len(MIB << 20).unwrap();
    let peers = Peers::connect(share.path()).await;
    let records = || peers.session.counters().records_received;
    let before = records();
    let mut push = peers.push(1, limits::FRAME_BYTES).await;
    let (mut bytes, mut parts) = (0, 0);
    while let Some(data) = push.next().await.unwrap() {
        bytes += data.len() as u64;
        parts += 1;
    }
    assert_eq!((bytes, parts), (MIB << 20, 2 * MIB));
    let received = records() - before;
    // A stat, heads and trailers are records too, and a frame may be cut for a window.
    assert!(received <= 2 * MIB + 16, "{received} records for {parts} parts");
}
