//! docs/peer-contract.md says what is so.

use std::collections::BTreeSet;

/// The page, the sources that it is about, and a peer of its required part.
const PAGE: &str = include_str!("../../../docs/peer-contract.md");
const PROTOCOL: &str = include_str!("../../../proto/control.proto");
const REFERENCE: &str = include_str!("../../../tests/reference-peer/control.rs");
const CONSTANTS: [&str; 3] = [
    include_str!("../contract.rs"),
    include_str!("../runtime/environment.rs"),
    include_str!("../runtime/owner.rs"),
];

/// Prefixes of the variables that the project has.
const OURS: [&str; 3] = ["DROPD_", "DROPBED_", "OTEL_"];

fn is_variable(word: &&str) -> bool {
    OURS.iter().any(|prefix| word.starts_with(prefix))
}

/// Every variable that a constant of the contract names.
fn variables() -> BTreeSet<&'static str> {
    let quoted = CONSTANTS.iter().flat_map(|source| source.lines()).filter_map(|line| {
        let (_, value) = line.trim_start().strip_prefix("pub const ")?.split_once(": &str = \"")?;
        value.strip_suffix("\";")
    });
    quoted.filter(is_variable).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

/// The rows of the table of calls: name and need.
fn calls() -> Vec<(&'static str, &'static str)> {
    let rows = PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        Some((cells.next()?.strip_suffix('`')?, cells.next()?))
    });
    rows.filter(|(_, need)| ["required", "optional"].contains(need)).collect()
}

#[test]
fn the_page_names_every_variable_and_no_other() {
    let told: BTreeSet<&str> = words(PAGE).filter(is_variable).collect();
    assert!(variables().contains(super::env::NAME), "the sources were understood");
    assert_eq!(told, variables());
}

#[test]
fn the_page_names_every_call_and_no_other() {
    let protocol: BTreeSet<&str> = PROTOCOL
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("rpc ")?.split_once('('))
        .map(|(name, _)| name)
        .collect();
    let told = calls();
    assert_eq!(told.len(), protocol.len(), "each once: {told:?}");
    assert_eq!(told.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), protocol);
}

/// The topology tests run on the reference peer: it has all that is needed, and they
/// show that it needs nothing else.
#[test]
fn the_reference_peer_has_what_is_required_and_nothing_else() {
    let optional: BTreeSet<&str> =
        calls().into_iter().filter(|(_, need)| *need == "optional").map(|(name, _)| name).collect();
    let refused = REFERENCE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Err(absent(\"")?.strip_suffix("\"))"));
    assert_eq!(refused.collect::<BTreeSet<_>>(), optional);
}
