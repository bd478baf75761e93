use proptest::prelude::*;
use serde_json::json;

use super::*;

fn spec(text: &str) -> Result<ProxySpec, String> {
    ProxySpec::read(text.as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn names_are_read_in_any_case() {
    let read = spec(r#"{"Name":"a","LISTEN":":0","upStream":"b:1","Enabled":false,"Other":[{}]}"#);
    let expected = ProxySpec {
        name: "a".to_owned(),
        listen: ":0".to_owned(),
        upstream: "b:1".to_owned(),
        enabled: Some(false),
    };
    assert_eq!(read.unwrap(), expected);
    let draft = br#"{"Type":"latency","ATTRIBUTES":{"Latency":5,"JITTER":null}}"#;
    let draft = ToxicDraft::read(draft).unwrap();
    assert_eq!(draft.kind.as_deref(), Some("latency"));
    assert_eq!(Value::from(draft.attributes), json!({"latency": 5, "jitter": null}));
    let update = ToxicUpdate::read(br#"{"Toxicity":0.5,"Attributes":{"RATE":1}}"#).unwrap();
    assert_eq!(update.toxicity, Some(0.5));
    assert_eq!(Value::from(update.attributes), json!({"rate": 1}));
}

#[test]
fn null_is_what_is_left_out() {
    let nothing = ProxySpec::default();
    let nulls = r#"{"name":null,"listen":null,"upstream":null,"enabled":null}"#;
    for text in ["null", "{}", nulls, "{} and more", " \n{}}"] {
        assert_eq!(spec(text).unwrap(), nothing, "{text}");
    }
    assert_eq!(Vec::read(b"null").unwrap(), Vec::<ProxySpec>::new());
    let two: Vec<ProxySpec> = Vec::read(br#"[null, {"NAME":"x"}]"#).unwrap();
    assert_eq!(two, [nothing.clone(), ProxySpec { name: "x".to_owned(), ..nothing }]);
    assert_eq!(ProxyUpdate::read(b"null").unwrap(), ProxyUpdate::default());
    assert!(ToxicDraft::read(br#"{"attributes":null}"#).unwrap().attributes.is_none());
}

#[test]
fn what_is_no_such_object_is_refused_with_its_place() {
    for text in ["", "{", "[]", "5", "\"x\"", r#"{"name":5}"#, r#"{"enabled":1}"#, "NaN", "{]"] {
        let error = spec(text).unwrap_err();
        assert!(error.contains("line 1 column"), "{text}: {error}");
    }
    assert!(spec(r#"{"name":"a","Name":"b"}"#).unwrap_err().contains("duplicate field `name`"));
    for text in ["{}", "5", "[5]", "[{\"name\":{}}]"] {
        assert!(Vec::<ProxySpec>::read(text.as_bytes()).is_err(), "{text}");
    }
    for text in [r#"{"toxicity":1e999}"#, r#"{"toxicity":"1"}"#, r#"{"attributes":[]}"#] {
        assert!(ToxicUpdate::read(text.as_bytes()).is_err(), "{text}");
    }
    assert!(ToxicDraft::read("[".repeat(ONE_BYTES_MAX).as_bytes()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProxySpec::read(&text);
        let _ = Vec::<ProxySpec>::read(&text);
        let _ = ToxicDraft::read(&text);
    }

    #[test]
    fn a_name_survives_whatever_the_case_of_its_key(name in ".*", upper in any::<[bool; 4]>()) {
        let key: String = "name"
            .chars()
            .zip(upper)
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
            .collect();
        let text = json!({ key: name }).to_string();
        prop_assert_eq!(spec(&text).unwrap().name, name);
    }
}
