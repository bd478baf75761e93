use super::{Meaning, NODES_MAX, Node, Value, emit, parse};
use crate::testbed::topology::diagnostic::Diagnostic;

fn tree(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let node = parse(text, 0, &mut found);
    (node, found)
}

fn slice(text: &str, node: &Node) -> String {
    text[node.span.start..node.span.end].to_owned()
}

#[test]
fn every_key_and_value_knows_its_place() {
    let text = "# ü\nname: two\nlinks:\n  - { a: \"x\", both: {rtt: 5ms} }\n";
    let (node, found) = tree(text);
    assert_eq!(found, []);
    let node = node.unwrap();
    let name = node.child("name").unwrap();
    assert_eq!((name.span.line, name.span.column), (2, 7));
    assert_eq!(slice(text, name), "two", "bytes, not characters: there is an umlaut before");
    let Value::Sequence(links) = &node.child("links").unwrap().value else { panic!("a list") };
    assert_eq!(slice(text, &links[0]), "{ a: \"x\", both: {rtt: 5ms} }");
    assert_eq!(slice(text, links[0].child("both").unwrap()), "{rtt: 5ms}");
    let Value::Mapping(entries) = &links[0].value else { panic!("a map") };
    assert_eq!((entries[1].key_span.line, entries[1].key_span.column), (4, 15));
}

#[test]
fn scalars_mean_what_yaml_says_unless_quoted() {
    let (node, _) = tree("[~, null, true, 12, '12', 1.5, 12ms]");
    let Value::Sequence(items) = node.unwrap().value else { panic!("a list") };
    let meanings: Vec<Meaning<'_>> = items
        .iter()
        .map(|item| match &item.value {
            Value::Scalar(scalar) => scalar.meaning(),
            _ => panic!("a scalar"),
        })
        .collect();
    assert_eq!(
        meanings,
        [
            Meaning::Null,
            Meaning::Null,
            Meaning::Boolean(true),
            Meaning::Integer(12),
            Meaning::Text("12"),
            Meaning::Text("1.5"),
            Meaning::Text("12ms"),
        ]
    );
}

#[test]
fn a_duplicate_key_names_both_places_and_parsing_goes_on() {
    let (node, found) = tree("a: 1\nb: 2\na: 3\n");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span.unwrap().line, 3);
    assert_eq!(found[0].related[0].span.line, 1);
    assert!(node.unwrap().child("b").is_some());
}

#[test]
fn syntax_errors_keep_their_place() {
    let (node, found) = tree("a: 1\nb: [1, 2\nc: 3\n");
    assert!(node.is_none());
    assert!(found[0].span.unwrap().line >= 2, "{found:?}");
    let (_, found) = tree("links:\n  - { rtt: ${rtt} }\n");
    assert!(found[0].hint.as_ref().unwrap().contains("quotes"), "{found:?}");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let repeated = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{repeated}]\n"));
    }
    let (node, found) = tree(&text);
    assert!(node.is_none());
    assert!(found[0].message.contains(&NODES_MAX.to_string()));
}

#[test]
fn depth_is_bounded() {
    let (node, found) = tree(&format!("a: {}1{}", "[".repeat(40), "]".repeat(40)));
    assert!(node.is_none());
    assert!(found[0].message.contains("nested"), "{found:?}");
}

#[test]
fn what_is_emitted_parses_to_the_same_tree() {
    let text = "a: {b: [1, '1', \"x: y\", {c: ~}], d: {}}\ne: []\nf: \"${x}\"\n'g h': 50ms\n";
    let emitted = emit(&tree(text).0.unwrap());
    let again = tree(&emitted).0.unwrap();
    assert_eq!(emit(&again), emitted);
    insta::assert_snapshot!(emitted);
}
