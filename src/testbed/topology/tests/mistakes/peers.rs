use super::{GOOD, mistake, parse, shown};

/// `GOOD` with these peers in place of its own.
fn with_peers(peers: &str) -> String {
    let (before, rest) = GOOD.split_once("peers:\n").unwrap();
    let (_, after) = rest.split_once("links:").unwrap();
    shown(&parse(&format!("{before}{peers}\nlinks:{after}")).unwrap_err())
}

#[test]
fn in_what_peers_are_told() {
    let carol =
        |settings: &str| mistake("  alice: {}", &format!("  alice: {{}}\n  carol: {settings}"));
    let said = [
        carol("{ mount: 1 }"),
        carol("{ privileged: [] }"),
        carol("{ environment: [A=1] }"),
        carol("{ environment: { A: [1] } }"),
        carol("{ resources: { cpu: 1 } }"),
        carol("{ resources: 1 }"),
        carol("{ resources: { cpus: 0 } }"),
        carol("{ resources: { cpus: 500m } }"),
        carol("{ resources: { cpus: 0.0005 } }"),
        carol("{ resources: { memory: 64 } }"),
        carol("{ resources: { memory: 1MiB } }"),
        mistake("from: alice", "from: x-alice"),
        mistake("  alice: {}", "  alice: {}\n  alice: {}"),
        mistake("peers:", "defaults: { peers: {} }\npeers:"),
        mistake("peers:", "defaults: 5\npeers:"),
        carol("{ count: 4096 }"),
        with_peers("peers: {}"),
        with_peers("peers: { x-note: 1 }"),
        with_peers("peers: { alice: {} }"),
        with_peers("peers: [alice, bob]"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}
