use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Push { bytes: usize },
    SetLatency { ns: u64 },
    Pass { ns: u64 },
    Take { bytes_max: usize, slices: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..300).prop_map(|bytes| Step::Push { bytes }),
        (0u64..1_000).prop_map(|ns| Step::SetLatency { ns }),
        (0u64..400).prop_map(|ns| Step::Pass { ns }),
        (0usize..600, 1usize..5).prop_map(|(bytes_max, slices)| Step::Take { bytes_max, slices }),
    ]
}

/// Takes what is due, as the writer of a link does, and checks each byte.
fn take(
    queue: &mut DelayQueue,
    now_ns: u64,
    (bytes_max, slices): (usize, usize),
    earliest_ns: &[u64],
    taken: &mut usize,
) {
    let mut buffers = vec![IoSlice::new(&[]); slices];
    let (count, bytes) = queue.due(now_ns, &mut buffers);
    assert_eq!(bytes, buffers[..count].iter().map(|slice| slice.len()).sum::<usize>());
    let wanted = bytes.min(bytes_max);
    for &byte in buffers[..count].iter().flat_map(|slice| slice.iter()).take(wanted) {
        assert_eq!(usize::from(byte), *taken % 251, "order");
        assert!(now_ns >= earliest_ns[*taken], "byte {taken} came early");
        *taken += 1;
    }
    queue.advance(wanted);
}

proptest! {
    #[test]
    fn nothing_is_early_lost_or_reordered(steps in prop::collection::vec(step(), 1..200)) {
        let mut queue = DelayQueue::default();
        let (mut now_ns, mut latency_ns, mut taken) = (1u64, 0u64, 0usize);
        let mut earliest_ns = Vec::new();
        for step in steps {
            match step {
                Step::Push { bytes } => {
                    let chunk: Vec<u8> = (earliest_ns.len()..earliest_ns.len() + bytes)
                        .map(|i| u8::try_from(i % 251).unwrap())
                        .collect();
                    earliest_ns.extend(vec![now_ns + latency_ns; bytes]);
                    queue.push(chunk.into(), now_ns + latency_ns, bytes % 7 == 0);
                }
                Step::SetLatency { ns } => latency_ns = ns,
                Step::Pass { ns } => now_ns += ns,
                Step::Take { bytes_max, slices } => {
                    take(&mut queue, now_ns, (bytes_max, slices), &earliest_ns, &mut taken);
                }
            }
            prop_assert_eq!(queue.bytes(), earliest_ns.len() - taken);
        }
        queue.close(End::Closed, now_ns);
        while let Some(due_ns) = queue.next_due_ns() {
            now_ns = now_ns.max(due_ns);
            if let Some(end) = queue.due_end(now_ns) {
                prop_assert_eq!(end, End::Closed);
                break;
            }
            take(&mut queue, now_ns, (usize::MAX, 4), &earliest_ns, &mut taken);
        }
        prop_assert_eq!(taken, earliest_ns.len());
        prop_assert_eq!(queue.bytes(), 0);
    }
}

#[test]
fn the_last_chunk_waits_for_its_own_due_time_and_no_longer() {
    let mut queue = DelayQueue::default();
    queue.push(Bytes::from_static(b"a"), 100, false);
    queue.push(Bytes::from_static(b"b"), 50, false);
    queue.push(Bytes::from_static(b"c"), 150, false);
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(queue.due(99, &mut slices), (0, 0));
    assert_eq!(queue.due(100, &mut slices), (2, 2), "a late chunk holds back its successor");
    assert_eq!(queue.due(150, &mut slices), (3, 3));
}

#[test]
fn the_end_waits_for_every_chunk() {
    let mut queue = DelayQueue::default();
    queue.push(Bytes::from_static(b"a"), 100, false);
    queue.close(End::Reset, 10);
    assert_eq!(queue.due_end(100), None);
    queue.advance(1);
    assert_eq!(queue.due_end(99), None);
    assert_eq!(queue.due_end(100), Some(End::Reset));
}

#[test]
fn small_chunks_fill_the_queue_too() {
    let mut queue = DelayQueue::default();
    let mut chunks = 0;
    while queue.has_room(64 * 1024) {
        queue.push(Bytes::from_static(b"x"), 0, false);
        chunks += 1;
    }
    assert_eq!(chunks, 64 * 1024 / (1 + CHUNK_OVERHEAD_BYTES) + 1);
}
