use super::*;
use crate::testbed::live::tests::live;

#[test]
fn an_event_for_people() {
    let line = r#"{"t_ms":1234,"event":"link","link":"b:a","dial":"127.0.0.1:1","both":[1,2]}"#;
    assert_eq!(human(line), "     1.234 s  link         link=b:a dial=127.0.0.1:1 both=[1,2]");
    assert_eq!(human("half a li"), "half a li");
}

#[test]
fn an_end_is_told_with_the_last_words() {
    let death = Death {
        who: "bob".to_owned(),
        exit_code: Some(137),
        how: "exit code 137 (signal 9)".to_owned(),
        last_log_lines: vec!["one".to_owned(), "two".to_owned()],
    };
    let line = died(&live(), &death);
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["event"], &event["peer"]), (&json!("peer_died"), &json!("bob")));
    let text = human(&line);
    assert!(text.contains("how=exit code 137 (signal 9)\n    one\n    two"), "{text}");
}
