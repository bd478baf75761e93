//! One mistake each: the message, word for word.

use super::{GOOD, broken, parse};

/// The one diagnostic that a broken piece gives.
fn mistake(piece: &str, replacement: &str) -> String {
    let diagnostics = broken(piece, replacement).unwrap_err();
    assert_eq!(diagnostics.iter().count(), 1, "a cascade: {diagnostics}");
    diagnostics.to_string()
}

const LINK: &str = "  - { a: alice, b: bob, both: { rtt: \"${rtt}\" } }";
const STEP: &str = "mode: \"${mode}\" }";

#[test]
fn in_what_the_file_is() {
    insta::assert_snapshot!(
        [
            mistake("version: 1", "version: 2"),
            mistake("version: 1", "version: one"),
            mistake("version: 1\n", ""),
            mistake("name: two", "name: -two-"),
            mistake("name: two", "name: 2"),
            mistake("name: two", "name: two\nname: three"),
            mistake("name: two", "nmae: two\nname: two"),
            parse("").unwrap_err().to_string(),
            parse("- a list\n").unwrap_err().to_string(),
            parse("a: [1\n").unwrap_err().to_string(),
            parse("a: 1\n---\nb: 2\n").unwrap_err().to_string(),
            mistake("name: two", "name: !name two"),
            mistake(
                "vars: { rtt: 50ms, mode: push }",
                "vars: { rtt: [1], mode: push, rtt2: 1 }\nx-a: 1"
            )
        ]
        .join("\n")
    );
}

#[test]
fn in_peers() {
    insta::assert_snapshot!(
        [
            mistake("  alice: {}", "  alice: 5"),
            mistake("  alice: {}", "  alice: {}\n  carol: { count: 0 }"),
            mistake("  alice: {}", "  alice: {}\n  carol: { count: 2 }\n  carol-1: {}"),
            broken("  alice: {}", "  alice: { count: 2 }").unwrap_err().to_string(),
            mistake("  alice: {}", "  alice: {}\n  proxy: {}"),
            mistake("  alice: {}", "  alice: {}\n  Carol: {}"),
            mistake("  alice: {}", "  alice: {}\n  carol: { environment: { DROPD_STATE: /x } }"),
            mistake("  alice: {}", "  alice: {}\n  carol: { environment: { a-b: 1 } }"),
            mistake("  alice: {}", "  alice: {}\n  carol: { count: 65 }"),
            mistake("rekey_bytes: 4MiB", "rekey_bytes: 4KiB"),
            mistake("rekey_bytes: 4MiB", "rekey_bytes: 4Mb"),
            mistake("peers:", "defaults: { peer: { rekey: 1GiB } }\npeers:"),
        ]
        .join("\n")
    );
}

#[test]
fn in_links() {
    let both = |shape: &str| LINK.replace("{ rtt: \"${rtt}\" }", shape);
    insta::assert_snapshot!(
        [
            mistake(LINK, &both("{ rtt: 10ms, latency: 5ms }")),
            mistake(LINK, &both("{ rtt: 5us }")),
            mistake(LINK, &both("{ ratte: 100Mbit/s }")),
            mistake(LINK, &both("{ latency: 1h }")),
            mistake(LINK, &both("{ latency: -1ms }")),
            mistake(LINK, &both("{}, b_to_a: { rtt: 5ms }")),
            mistake(LINK, &both("{}, dial: alice")),
            mistake(LINK, "  - { a: alice, b: alice, both: {} }"),
            mistake(LINK, "  - { a: alice, b: bobb, both: {} }"),
            mistake(LINK, &format!("{LINK}\n  - {{ a: bob, b: alice, dial: a }}")),
            mistake(LINK, "  - star: { rtt: 1ms }"),
            mistake(LINK, "  - { a: alice, b: bob, dial: a }"),
            mistake(LINK, "  - full_mesh: {}\n  - { a: alice, b: bob, a_to_b: {} }"),
            broken("  - { a: alice, b: bob, both", "  - { a: alice, b: carol, both")
                .unwrap_err()
                .to_string(),
        ]
        .join("\n")
    );
}

#[test]
fn in_jitter_and_rates() {
    let both = |shape: &str| LINK.replace("{ rtt: \"${rtt}\" }", shape);
    insta::assert_snapshot!(
        [
            mistake(LINK, &both("{ jitter: 5ms }")),
            mistake(LINK, &both("{ rtt: 10ms, jitter: 5001us }")),
            mistake(LINK, &both("{ rtt: 10ms, jitter: 5ms }, a_to_b: { latency: 4ms }")),
            mistake(LINK, &both("{ preset: lte, latency: 5ms }")),
            // One mistake in a shape hides what follows from it.
            mistake(LINK, &both("{ latency: 5, jitter: 5ms }")),
            mistake(LINK, &both("{ rate: 100 }")),
            mistake(LINK, &both("{ rate: 100Mbps }")),
            mistake(LINK, &both("{ rate: 0Mbit/s }")),
            mistake(LINK, &both("{ rate: 7999bit/s }")),
            mistake(LINK, &both("{ rate: 8001bit/s }")),
            mistake(LINK, &both("{ rate: 101Gbit/s }")),
            mistake(LINK, &both("{ rate: 99999999999GB/s }")),
            mistake(LINK, &both("{ rate_scope: connection }")),
            mistake(LINK, &both("{ rate: 1Mbit/s, rate_scope: conection }")),
            mistake(LINK, &both("{ preset: dls }")),
            mistake(LINK, &both("{ preset: satellite }")),
            mistake(LINK, "  - full_mesh: { preset: dsl }"),
            mistake(LINK, "  - star: { hub: alice, to_hub: { rate: 1 } }"),
        ]
        .join("\n")
    );
}

/// A toxic's scope cannot change while it lives.
#[test]
fn the_scope_of_a_rate_cannot_differ_between_cells() {
    let shape = "{ rate: 8Mbit/s, rate_scope: \"${scope}\" }";
    let text =
        GOOD.replace("{ rtt: \"${rtt}\" }", shape).replace("vars: {", "vars: { scope: link,");
    let text = format!("{text}matrix: {{ scope: [link, connection] }}\n");
    insta::assert_snapshot!(parse(&text).unwrap_err().to_string());
}

fn no_mount() -> String {
    let text = GOOD.replace("bob: {", "bob: { mount: false,").replace("mode: push", "mode: mount");
    parse(&text).unwrap_err().to_string()
}

#[test]
fn in_files_and_steps() {
    let step = |rest: &str| mistake(STEP, rest);
    insta::assert_snapshot!(
        [
            mistake("path: big.bin, size", "path: /big.bin, size"),
            mistake("size: 64MiB", "size: 64"),
            mistake("path: big.bin, mode", "path: bib.bin, mode"),
            mistake("from: alice", "from: carol"),
            step("mode: pull }"),
            step("mode: push, depth: 4 }"),
            step("mode: request-response, depth: 0 }"),
            step("mode: push, chunk: 1GiB }"),
            step("mode: push, rekey_at: [50%, 25%] }"),
            step("mode: push, rekey_at: [0.5] }"),
            step("mode: push, rekey_at: 50% }"),
            step("mode: push, rekey_at: [100%] }"),
            step("mode: mount, to_file: true }"),
            step("mode: push, deadline: 0s }"),
            step("mode: push, expect: { digest: equal } }"),
            step("mode: push }\n    - transfer: { name: pull, from: alice, to: bob, path: big.bin, mode: push }"),
            step("mode: push }\n      rekey: { from: alice, to: bob }"),
            step("mode: push }\n    - {}"),
            no_mount(),
        ]
        .join("\n")
    );
}

#[test]
fn in_variables_and_the_matrix() {
    insta::assert_snapshot!(
        [
            mistake("\"${rtt}\"", "\"${rt}\""),
            mistake("\"${rtt}\"", "\"${rtt\""),
            mistake("\"${rtt}\"", "${rtt}"),
            mistake("rtt: 50ms", "rtt: 50"),
            parse(&format!("{GOOD}matrix: {{ rt: [1ms] }}\n")).unwrap_err().to_string(),
            parse(&format!("{GOOD}matrix: {{ rtt: [] }}\n")).unwrap_err().to_string(),
            parse(&format!("{GOOD}matrix: {{ rtt: 5ms }}\n")).unwrap_err().to_string(),
            parse(&format!("{GOOD}matrix: {{ rtt: [1ms, 1ms] }}\n")).unwrap_err().to_string(),
            parse(&format!("{GOOD}matrix: {{ rtt: [1ms, 2, 3ms], mode: [push, mount] }}\n"))
                .unwrap_err()
                .to_string(),
            parse(&format!("{GOOD}run: {{ order: random, repetitions: 0 }}\n"))
                .unwrap_err()
                .to_string(),
        ]
        .join("\n")
    );
}

#[test]
fn peers_cannot_differ_between_cells() {
    let text = GOOD.replace("rekey_bytes: 4MiB", "rekey_bytes: \"${rekey}\"");
    let text = text.replace("vars: {", "vars: { rekey: 4MiB,");
    let text = format!("{text}matrix: {{ rekey: [4MiB, 8MiB] }}\n");
    insta::assert_snapshot!(parse(&text).unwrap_err().to_string());
}
