use super::*;

fn record(name: &str, service: &str, id: u64, parent: u64, us: (u64, u64)) -> SpanRecord {
    SpanRecord {
        trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
        span_id: format!("{id:016x}").parse().unwrap(),
        parent_id: format!("{parent:016x}").parse().ok(),
        name: name.to_owned(),
        service_instance: service.to_owned(),
        start_ns: 5_000_000_000 + us.0 * 1_000,
        end_ns: 5_000_000_000 + us.1 * 1_000,
        attributes: BTreeMap::new(),
    }
}

/// A read of alice that bob served, after one from the cache.
fn trace() -> Vec<SpanRecord> {
    let mut spans = vec![
        record(span::DISK_READ, "bob", 7, 6, (5_500, 6_500)),
        record(span::MOUNT_READ, "alice", 1, 99, (0, 20_000)),
        record(span::FUSE_READ, "alice", 2, 1, (100, 200)),
        record(span::FUSE_READ, "alice", 3, 1, (300, 11_000)),
        record(span::TRANSFER_FETCH, "alice", 5, 3, (350, 10_900)),
        record(span::TRANSFER_SERVE, "bob", 6, 5, (5_400, 6_600)),
        record(span::FUSE_READ, "alice", 8, 1, (11_100, 19_000)),
        record(span::TRANSFER_FETCH, "alice", 9, 8, (11_150, 18_900)),
        record(span::TRANSFER_SERVE, "bob", 10, 9, (15_000, 15_100)),
    ];
    spans[1].attributes.insert("dropbed.layer.disk_ns".to_owned(), 5.into());
    spans[5].attributes.insert("dropbed.path".to_owned(), "a\nb".into());
    spans[5].attributes.insert("dropbed.offset_bytes".to_owned(), 4096.into());
    spans[5].attributes.insert("thread.id".to_owned(), 3.into());
    spans
}

#[test]
fn a_trace_is_an_indented_table() {
    let text = render(&trace(), &ViewOptions { children_max: 2, lines_max: 60 });
    let expected = "\
trace 0af7651916cd43dd8448eb211c80319c: 9 spans of alice, bob
mount.read            alice  +    0.000 ms    20.000 ms
  fuse.read           alice  +    0.100 ms     0.100 ms
  fuse.read           alice  +    0.300 ms    10.700 ms
    transfer.fetch    alice  +    0.350 ms    10.550 ms
      transfer.serve  bob    +    5.400 ms     1.200 ms  offset_bytes=4096  path=a\\nb
        disk.read     bob    +    5.500 ms     1.000 ms
  ... 1 more span with all below
";
    assert_eq!(text, expected);
}

#[test]
fn lines_are_bounded_and_the_rest_is_counted() {
    let all = ViewOptions { children_max: 9, lines_max: 10 };
    assert_eq!(render(&trace(), &all).lines().count(), 10, "all of it fits");
    let text = render(&trace(), &ViewOptions { lines_max: 9, ..all });
    assert_eq!(text.lines().count(), 9);
    assert_eq!(text.lines().last(), Some("... 2 more lines"));
}

#[test]
fn one_read_is_the_one_that_shows_most() {
    let read = one_read(&trace()).unwrap();
    let ids: Vec<_> = read.iter().map(|span| span.span_id.to_string()).collect();
    assert_eq!(ids, [3, 5, 6, 7].map(|id| format!("{id:016x}")));
    assert!(render(&read, &ViewOptions::default()).contains("4 spans of alice, bob"));
}

#[test]
fn reads_that_never_left_the_peer_are_not_shown() {
    let local: Vec<_> =
        trace().into_iter().filter(|span| span.service_instance == "alice").collect();
    assert_eq!(one_read(&local), None);
    assert_eq!(one_read(&[]), None);
}

#[test]
fn broken_traces_end_too() {
    assert_eq!(render(&[], &ViewOptions::default()), "no spans\n");
    // Each the parent of the other, and a read that is its own parent.
    let cycle = [
        record(span::FUSE_READ, "alice", 1, 2, (0, 1)),
        record(span::TRANSFER_SERVE, "bob", 2, 1, (0, 1)),
        record(span::FUSE_READ, "alice", 3, 3, (0, 1)),
    ];
    assert_eq!(one_read(&cycle).unwrap().len(), 2);
    assert!(render(&cycle, &ViewOptions::default()).starts_with("trace "));
    // Deeper than is shown.
    let deep: Vec<_> =
        (1..=100).map(|id| record(span::DISK_READ, "bob", id, id - 1, (0, 1))).collect();
    let text = render(&deep, &ViewOptions { children_max: 9, lines_max: 200 });
    assert_eq!(text.lines().count(), 1 + DEPTH_MAX + 1, "{text}");
}
