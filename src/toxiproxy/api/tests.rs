use proptest::prelude::*;
use serde_json::json;

use super::*;

proptest! {
    #[test]
    fn a_duration_survives_json(us in 0..=LATENCY_MS_MAX * 1_000) {
        let toxic = Toxic::latency(Stream::Upstream, Millis::from_micros(us));
        let text = serde_json::to_string(&toxic).unwrap();
        prop_assert_eq!(serde_json::from_str::<Toxic>(&text).unwrap(), toxic);
    }
}

#[test]
fn whole_milliseconds_are_written_as_integers() {
    let whole = Toxic::latency(Stream::Downstream, Millis::from_micros(5_000));
    let text = serde_json::to_string(&whole).unwrap();
    assert!(text.contains(r#""latency":5,"#), "{text}");
    let half = Toxic::latency(Stream::Downstream, Millis::from_micros(500));
    assert!(serde_json::to_string(&half).unwrap().contains(r#""latency":0.5,"#));
}

#[test]
fn a_type_of_another_server_is_carried_through() {
    let wire = json!({"attributes": {"grit": 100}, "name": "b", "type": "molasses",
                      "stream": "upstream", "toxicity": 1.0});
    let toxic: Toxic = serde_json::from_value(wire.clone()).unwrap();
    assert_eq!(toxic.effect.kind(), "molasses");
    assert_eq!(serde_json::to_value(&toxic).unwrap(), wire);
}

#[test]
fn attributes_are_checked_and_named() {
    let parse = |attributes: serde_json::Value| {
        Effect::parse("latency", attributes.as_object().unwrap()).map_err(|e| e.to_string())
    };
    for bad in [json!(-1), json!("5"), json!(3_600_001), json!([1]), json!(true)] {
        let error = parse(json!({ "latency": bad })).unwrap_err();
        assert!(error.starts_with("latency must be a number"), "{error}");
        assert!(error.contains("3600000"), "{error}");
    }
    let error = parse(json!({"latency": 5, "jitter": 6})).unwrap_err();
    assert_eq!(error, "jitter must be a number from 0 to latency, 5 here, got 6");
    assert!(parse(json!({"latency": 3_600_000, "jitter": 0.25})).is_ok());
}

#[test]
fn the_version_tells_which_server_it_is() {
    assert!(VERSION.starts_with("2.12.0") && VERSION.contains(BUNDLED_MARK));
}
