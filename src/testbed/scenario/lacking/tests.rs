use super::*;

fn lacks() -> ScenarioError {
    ScenarioError::Lacks {
        peer: "bob".to_owned(),
        attempted: "flushing its spans".to_owned(),
        reason: "no telemetry here".to_owned(),
    }
}

#[test]
fn what_a_peer_lacks_is_told_once_in_each_turn() {
    let lacking = Lacking::default();
    for _again in 0..2 {
        assert!(lacking.allow::<()>(Err(lacks()), "no time per layer").unwrap().is_none());
    }
    assert_eq!(lacking.take(), ["peer bob: no telemetry here: no time per layer"]);
    assert_eq!(lacking.take(), Vec::<String>::new());
}

#[test]
fn an_answer_and_a_failure_pass_through() {
    let lacking = Lacking::default();
    assert_eq!(lacking.allow(Ok(7), "").unwrap(), Some(7));
    let silent = ScenarioError::Silent {
        peer: "bob".to_owned(),
        attempted: "flushing its spans".to_owned(),
        deadline_ms: 1,
    };
    assert!(lacking.allow::<()>(Err(silent), "").is_err());
    assert_eq!(lacking.take(), Vec::<String>::new());
}

#[test]
fn a_lack_that_counts_says_what_to_do() {
    let text = lacks().to_string();
    assert!(text.contains("bob") && text.contains("no telemetry here"), "{text}");
    assert!(text.contains("docs/peer-contract.md"), "{text}");
}
