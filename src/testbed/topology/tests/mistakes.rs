//! One mistake each: what a person is shown, word for word.

use super::{Diagnostics, GOOD, Topology, broken, parse};

mod files;
mod peers;
mod profiles;
mod volumes;

/// The one diagnostic that a broken piece gives.
fn mistake(piece: &str, replacement: &str) -> String {
    one(broken(piece, replacement))
}

/// The one diagnostic that there is.
fn one(result: Result<Topology, Diagnostics>) -> String {
    let diagnostics = result.unwrap_err();
    assert_eq!(diagnostics.iter().count(), 1, "a cascade: {diagnostics}");
    shown(&diagnostics)
}

/// As a person sees them, without the count at the end.
fn shown(diagnostics: &Diagnostics) -> String {
    let text = diagnostics.excerpts(false);
    let (text, _) = text.trim_end().rsplit_once('\n').expect("a count at the end");
    format!("{}\n", text.trim_end())
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
            one(parse("")),
            one(parse("- a list\n")),
            one(parse("a: [1\n")),
            one(parse("a: 1\n---\nb: 2\n")),
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
            shown(&broken("  alice: {}", "  alice: { count: 2 }").unwrap_err()),
            mistake("  alice: {}", "  alice: {}\n  proxy: {}"),
            mistake("  alice: {}", "  alice: {}\n  Carol: {}"),
            mistake("  alice: {}", "  alice: {}\n  carol: { environment: { DROPD_STATE: /x } }"),
            mistake("  alice: {}", "  alice: {}\n  carol: { environment: { a-b: 1 } }"),
            mistake("  alice: {}", "  alice: {}\n  carol: { count: 4097 }"),
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
            shown(
                &broken("  - { a: alice, b: bob, both", "  - { a: alice, b: carol, both")
                    .unwrap_err()
            ),
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
    insta::assert_snapshot!(shown(&parse(&text).unwrap_err()));
}

fn no_mount() -> String {
    let text = GOOD.replace("bob: {", "bob: { mount: false,").replace("mode: push", "mode: mount");
    one(parse(&text))
}

/// More cells than there may be, from four variables.
fn many_cells() -> String {
    let names = ["c", "d", "e", "f"];
    let vars: String = names.iter().map(|name| format!("{name}: 0, ")).collect();
    let values: Vec<String> = (0..6).map(|value| value.to_string()).collect();
    let each = names.iter().map(|name| format!("{name}: [{}]", values.join(", ")));
    let matrix = each.collect::<Vec<_>>().join(", ");
    format!("{}matrix: {{ {matrix} }}\n", GOOD.replace("vars: { ", &format!("vars: {{ {vars}")))
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
            step("mode: request-response, lanes: 4 }"),
            step("mode: push, lanes: 9 }"),
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
            mistake("to: bob, path", "to: alice, path"),
            mistake("from: alice, to: bob, path: big.bin", "from: bob, to: alice, path: big.bin"),
            mistake("path: big.bin, mode", "path: other, mode"),
            step("mode: push }\n    - 5"),
            step("mode: push, rekey_at: [1%, 2%, x] }"),
            step("mode: push, rekey_at: { a: 1 } }"),
            step("mode: push, to_file: 1 }"),
            step("mode: [push] }"),
            mistake("    - transfer: { name: pull, from: alice, to: bob, path: big.bin, mode: \"${mode}\" }\n", "    []\n"),
            mistake("scenario:\n  steps:", "scenario:\n  deadline: 5\n  steps:"),
            shown(&broken("scenario:\n  steps:", "scenario:\n  stages:").unwrap_err()),
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
            one(parse(&format!("{GOOD}matrix: {{ rt: [1ms] }}\n"))),
            one(parse(&format!("{GOOD}matrix: {{ rtt: [] }}\n"))),
            one(parse(&format!("{GOOD}matrix: {{ rtt: 5ms }}\n"))),
            one(parse(&format!("{GOOD}matrix: {{ rtt: [1ms, 1ms] }}\n"))),
            one(parse(&format!("{GOOD}matrix: {{ rtt: [1ms, 2, 3ms], mode: [push, mount] }}\n"))),
            one(parse(&format!("{GOOD}run: {{ order: random }}\n"))),
            one(parse(&format!("{GOOD}run: {{ repetitions: 0 }}\n"))),
            one(parse(&format!("{GOOD}run: {{ deadline: 1500us }}\n"))),
            one(parse(&format!("{GOOD}matrix: {{ loss: [1ms] }}\n"))),
            one(parse(&many_cells())),
            mistake("\"${rtt}\"", "\"${loss}\""),
            mistake("vars: { rtt: 50ms", "vars: { a-b: 1, rtt: 50ms"),
            mistake(
                "vars: { rtt: 50ms, mode: push }",
                "vars: { rtt: 50ms, mode: push, x: { y: 1 } }"
            ),
        ]
        .join("\n")
    );
}

#[test]
fn peers_cannot_differ_between_cells() {
    let text = GOOD.replace("rekey_bytes: 4MiB", "rekey_bytes: \"${rekey}\"");
    let text = text.replace("vars: {", "vars: { rekey: 4MiB,");
    let text = format!("{text}matrix: {{ rekey: [4MiB, 8MiB] }}\n");
    insta::assert_snapshot!(shown(&parse(&text).unwrap_err()));
}
