use std::collections::BTreeSet;

use super::odd::Names;
use crate::source::SharePath;

#[test]
fn odd_names_are_right_different_and_the_same_again() {
    let names = Names::new(1, "alice", "odd/#");
    let all: Vec<String> = (0..1000).map(|number| names.name(number)).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    for name in &all {
        SharePath::parse(&format!("odd/{name}")).unwrap();
        assert!(!name.contains(['/', '\0']) && name.len() <= 255, "{name:?}");
    }
    let again = Names::new(1, "alice", "odd/#");
    assert!((0..).zip(&all).all(|(number, name)| again.name(number) == *name));
    assert_ne!(Names::new(2, "alice", "odd/#").name(0), all[0]);
    assert_ne!(Names::new(1, "bob", "odd/#").name(0), all[0]);
}

#[test]
fn every_kind_is_among_the_first_dozen() {
    let names = Names::new(1, "alice", "odd/#");
    let all: Vec<String> = (0..12).map(|number| names.name(number)).collect();
    for (what, has) in [
        ("two blanks", all.iter().any(|name| name.contains("  "))),
        ("a line break", all.iter().any(|name| name.contains('\n'))),
        ("a quote", all.iter().any(|name| name.contains('"') && name.contains('\''))),
        ("a leading dash", all.iter().any(|name| name.starts_with('-'))),
        ("a leading dot", all.iter().any(|name| name.starts_with('.'))),
        ("255 bytes", all.iter().any(|name| name.len() == 255)),
        ("more than ASCII", all.iter().any(|name| !name.is_ascii())),
    ] {
        assert!(has, "{what} in {all:#?}");
    }
}
