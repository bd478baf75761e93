use super::{distance, hint, nearest};

#[test]
fn distances() {
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("latency", "latency"), 0);
    assert_eq!(distance("latnecy", "latency"), 1, "a swap is one slip");
    assert_eq!(distance("kitten", "sitting"), 3);
}

#[test]
fn only_slips_are_suggested() {
    assert_eq!(nearest("rekey_byte", ["mount", "rekey_bytes"]), Some("rekey_bytes"));
    assert_eq!(nearest("jitter", ["rtt", "latency", "rate"]), None);
    assert_eq!(nearest("bb", ["bob", "ba"]), Some("bob"));
}

#[test]
fn a_hint_lists_what_there_is() {
    assert_eq!(hint("carol", &["alice", "bob"]), "there is `alice` and `bob`");
    assert_eq!(hint("alcie", &["alice", "bob"]), "did you mean `alice`?");
    assert_eq!(hint("x", &[]), "there is none to choose from");
}
