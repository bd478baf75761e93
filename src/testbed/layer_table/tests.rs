use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn record(name: &str, instance: &str, id: u64, (start_ns, end_ns): (u64, u64)) -> SpanRecord {
    SpanRecord {
        trace_id: format!("{:032x}", 1).parse().unwrap(),
        span_id: format!("{id:016x}").parse().unwrap(),
        parent_id: None,
        name: name.to_owned(),
        service_instance: instance.to_owned(),
        start_ns,
        end_ns,
        attributes: BTreeMap::new(),
    }
}

fn with_times(mut span: SpanRecord, times: &[(Layer, u64)]) -> SpanRecord {
    for (layer, time_ns) in times {
        let name = format!("dropbed.layer.{}_ns", layer.name());
        span.attributes.insert(name, (*time_ns).into());
    }
    span
}

/// 100 ms of a pull by alice from bob: 10 ms disk, 5 ms fetch, 5 ms gRPC, 10 ms
/// open, 60 ms wait, 10 ms idle.
fn pull() -> SpanRecord {
    let times = [
        (Layer::Disk, 10 * MS),
        (Layer::Fetch, 5 * MS),
        (Layer::Grpc, 5 * MS),
        (Layer::Open, 10 * MS),
        (Layer::TcpWait, 60 * MS),
        (Layer::Idle, 10 * MS),
    ];
    with_times(record(span::TRANSFER_PULL, "alice", 1, (0, 100 * MS)), &times)
}

fn call(times: &[(Layer, u64)]) -> SpanRecord {
    with_times(record(span::TRANSFER_CALL, "bob", 2, (0, 100 * MS)), times)
}

fn facts(pattern: Pattern, rtt_ns: u64) -> StepFacts {
    StepFacts { pattern, rtt_ns, wall_ns: 100 * MS }
}

/// Reader and server milliseconds of one part.
fn ms(table: &LayerTable, part: Part) -> (u64, u64) {
    let row = table.row(part);
    assert_eq!(row.part, part);
    assert_eq!(row.total_ns, row.reader_ns + row.server_ns);
    (row.reader_ns / MS, row.server_ns / MS)
}

#[test]
fn a_wait_is_split_into_link_server_and_rest() {
    let server = call(&[
        (Layer::Disk, 12 * MS),
        (Layer::Seal, 8 * MS),
        (Layer::TcpWait, 70 * MS),
        (Layer::Idle, 10 * MS),
    ]);
    let table = LayerTable::of(&[pull(), server], &facts(Pattern::Push, 10 * MS)).unwrap();
    assert_eq!(table.turns, 2);
    assert_eq!(ms(&table, Part::Disk), (10, 12));
    assert_eq!(ms(&table, Part::Fuse), (0, 0));
    assert_eq!(ms(&table, Part::Fetch), (5, 0));
    assert_eq!(ms(&table, Part::Grpc), (5, 0));
    assert_eq!(ms(&table, Part::Seal), (0, 8));
    assert_eq!(ms(&table, Part::Open), (10, 0));
    assert_eq!(ms(&table, Part::LinkDelay), (20, 0));
    assert_eq!(ms(&table, Part::TcpWait), (20, 0));
    assert_eq!(ms(&table, Part::Unaccounted), (10, 0));
    assert_eq!(table.row(Part::Disk).share, 0.22);
    assert_eq!(table.excess_ns, 0);
}

#[test]
fn a_server_that_worked_longer_than_the_reader_waited_is_scaled() {
    let server = call(&[(Layer::Disk, 60 * MS), (Layer::Seal, 20 * MS)]);
    let table = LayerTable::of(&[pull(), server], &facts(Pattern::Push, 10 * MS)).unwrap();
    assert_eq!(ms(&table, Part::Disk), (10, 30));
    assert_eq!(ms(&table, Part::Seal), (0, 10));
    assert_eq!(ms(&table, Part::TcpWait), (0, 0));
    assert_eq!(ms(&table, Part::Unaccounted), (10, 0));
}

#[test]
fn link_delay_is_turns_times_rtt_and_never_more_than_the_wait() {
    let pattern = Pattern::RequestResponse { chunks: 9, depth: 4 };
    let table = LayerTable::of(&[pull()], &facts(pattern, 10 * MS)).unwrap();
    assert_eq!((table.turns, ms(&table, Part::LinkDelay)), (4, (40, 0)));
    assert_eq!(ms(&table, Part::TcpWait), (20, 0));
    let pattern = Pattern::RequestResponse { chunks: 100, depth: 1 };
    let table = LayerTable::of(&[pull()], &facts(pattern, 10 * MS)).unwrap();
    assert_eq!((table.turns, ms(&table, Part::LinkDelay)), (101, (60, 0)));
    assert_eq!(ms(&table, Part::TcpWait), (0, 0));
}

#[test]
fn turns_of_a_mount_are_fetches_that_waited_for_one_another() {
    // Two in flight throughout: never idle, and still three turns.
    let times = [(Layer::TcpWait, 60 * MS)];
    let spans = [
        with_times(record(span::MOUNT_READ, "alice", 1, (0, 100)), &times),
        record(span::TRANSFER_FETCH, "alice", 2, (0, 10)),
        record(span::TRANSFER_FETCH, "alice", 3, (5, 15)),
        record(span::TRANSFER_FETCH, "alice", 4, (10, 20)),
        record(span::TRANSFER_FETCH, "alice", 5, (15, 25)),
        record(span::TRANSFER_FETCH, "alice", 6, (20, 30)),
        record(span::TRANSFER_FETCH, "bob", 7, (40, 50)),
    ];
    let table = LayerTable::of(&spans, &facts(Pattern::Mount, 10 * MS)).unwrap();
    assert_eq!((table.turns, ms(&table, Part::LinkDelay)), (3, (30, 0)));
}

#[test]
fn a_mount_without_a_call_is_charged_from_the_servers_spans() {
    let times = [(Layer::TcpWait, 60 * MS)];
    let spans = [
        with_times(record(span::MOUNT_READ, "alice", 1, (10 * MS, 90 * MS)), &times),
        // 5 of these 10 ms lie before the read began.
        record(span::TRANSFER_SERVE, "bob", 2, (5 * MS, 15 * MS)),
        record(span::TRANSFER_SERVE, "bob", 3, (20 * MS, 30 * MS)),
        record(span::TRANSFER_SERVE, "bob", 4, (25 * MS, 35 * MS)),
        record(span::DISK_READ, "bob", 5, (22 * MS, 26 * MS)),
        record(span::DISK_READ, "bob", 6, (25 * MS, 28 * MS)),
        // The reader's own cache is not the server's disk.
        record(span::DISK_READ, "alice", 7, (40 * MS, 50 * MS)),
    ];
    let table = LayerTable::of(&spans, &facts(Pattern::Mount, 0)).unwrap();
    assert_eq!(ms(&table, Part::Disk), (0, 6));
    assert_eq!(ms(&table, Part::Fetch), (0, 14));
    assert_eq!(ms(&table, Part::TcpWait), (40, 0));
}

#[test]
fn an_account_longer_than_the_wall_is_shown() {
    let facts = StepFacts { wall_ns: 85 * MS, ..facts(Pattern::Push, 0) };
    let table = LayerTable::of(&[pull()], &facts).unwrap();
    assert_eq!(table.excess_ns, 5 * MS, "90 ms are claimed by layers");
    assert_eq!(ms(&table, Part::Unaccounted), (0, 0));
}

#[test]
fn times_that_came_as_text_count_too() {
    let mut span = record(span::TRANSFER_PULL, "alice", 1, (0, 1));
    span.attributes.insert("dropbed.layer.open_ns".to_owned(), (7 * MS).to_string().into());
    let table = LayerTable::of(&[span], &facts(Pattern::Push, 0)).unwrap();
    assert_eq!(ms(&table, Part::Open), (7, 0));
}

#[test]
fn a_trace_that_cannot_have_a_table_says_why() {
    let of = |spans: &[SpanRecord]| LayerTable::of(spans, &facts(Pattern::Push, 0)).unwrap_err();
    assert_eq!(of(&[call(&[])]), LayerTableError::NoReader { spans: 1 });
    assert_eq!(of(&[pull(), pull()]), LayerTableError::ManyReaders { readers: 2 });
    let bare = record(span::MOUNT_READ, "alice", 1, (0, 1));
    let LayerTableError::NoTimes { span, instance } = of(&[bare]) else { panic!() };
    assert_eq!((&*span, &*instance), ("mount.read", "alice"));
}

fn times() -> impl Strategy<Value = SideTimes> {
    // Up to half an hour in each layer.
    prop::array::uniform8(prop_oneof![Just(0), 0..1_800_000_000_000_u64]).prop_map(SideTimes)
}

proptest! {
    #[test]
    fn parts_add_up_to_the_wall_exactly(
        own in times(),
        server in times(),
        turns in 0..100_000_u64,
        rtt_ns in 0..1_000_000_000_u64,
        idle_ns in -1_000_000_000..10_000_000_000_i64,
    ) {
        let mut server = server;
        for waits in [Layer::Fuse, Layer::TcpWait, Layer::Idle] {
            server.0[waits as usize] = 0;
        }
        let claimed_ns = own.total_ns() - own.of_layer(Layer::Idle);
        let wall_ns = claimed_ns.saturating_add_signed(idle_ns);
        let table = LayerTable::split(&own, &server, turns, rtt_ns, wall_ns);

        let sum_ns: u64 = table.rows.iter().map(|row| row.total_ns).sum();
        prop_assert_eq!(sum_ns, wall_ns + table.excess_ns);
        prop_assert_eq!(table.excess_ns, claimed_ns.saturating_sub(wall_ns));
        prop_assert!(table.excess_ns == 0 || table.row(Part::Unaccounted).total_ns == 0);
        prop_assert_eq!(table.rows.iter().map(|row| row.part).collect::<Vec<_>>(), Part::ALL);
        for row in &table.rows {
            if let Some(layer) = row.part.layer() {
                prop_assert_eq!(row.reader_ns, own.of_layer(layer));
                prop_assert!(row.server_ns <= server.of_layer(layer));
            }
        }
        prop_assert!(table.row(Part::LinkDelay).total_ns <= turns * rtt_ns);
    }

    #[test]
    fn intervals_are_counted_as_by_hand(raw in prop::collection::vec((0..40_u64, 0..40_u64), 0..12)) {
        let covered = (0..40).filter(|i| raw.iter().any(|(s, e)| (s..e).contains(&i))).count();
        prop_assert_eq!(intervals::union_ns(raw.iter().copied()), covered as u64);

        // The most disjoint ones, by trying every subset.
        let whole: Vec<_> = raw.into_iter().filter(|(s, e)| s < e).take(8).collect();
        let disjoint = |set: &u32| {
            let mut chosen: Vec<_> =
                (0..whole.len()).filter(|i| set >> i & 1 == 1).map(|i| whole[i]).collect();
            chosen.sort_unstable();
            chosen.windows(2).all(|pair| pair[0].1 <= pair[1].0)
        };
        let most = (0..1_u32 << whole.len()).filter(disjoint).map(u32::count_ones).max().unwrap();
        prop_assert_eq!(intervals::disjoint_count(whole.iter().copied()), u64::from(most));
    }
}
