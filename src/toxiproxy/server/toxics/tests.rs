use serde_json::{Value, json};

use super::*;

fn draft(kind: &str, name: &str, attributes: Value) -> ToxicDraft {
    ToxicDraft {
        name: Some(name.to_owned()),
        kind: Some(kind.to_owned()),
        attributes: attributes.as_object().cloned(),
        ..ToxicDraft::default()
    }
}

fn update(attributes: Value, toxicity: Option<f64>) -> ToxicUpdate {
    ToxicUpdate { attributes: attributes.as_object().cloned(), toxicity }
}

fn bucket(list: &ToxicList, name: &str) -> Option<Arc<Bucket>> {
    let live = list.live.borrow();
    live.iter().find(|live| live.toxic.name == name).and_then(|live| live.bucket.clone())
}

#[test]
fn a_refused_change_changes_nothing() {
    let list = ToxicList::new(Buckets::default());
    list.add(draft("latency", "slow", json!({"latency": 20}))).unwrap();
    let before = list.all();
    let followed = list.follow();
    for bad in [
        update(json!({"latency": -1}), None),
        update(json!({"latency": 5, "jitter": 6}), None),
        update(json!({"latency": 5}), Some(1.5)),
        update(json!({"latency": 5}), Some(f64::NAN)),
        update(json!({"latency": 5, "ltency": 6}), None),
    ] {
        let refusal = list.update("slow", &bad).unwrap_err();
        assert_eq!(refusal.status().as_u16(), 400, "{refusal}");
    }
    assert_eq!(list.all(), before);
    assert!(!followed.has_changed().unwrap(), "connections are not woken for nothing");
}

#[test]
fn a_toxic_that_comes_again_is_another_one() {
    let list = ToxicList::new(Buckets::default());
    let id = |list: &ToxicList| list.live.borrow()[0].id;
    list.add(draft("stall", "s", json!({}))).unwrap();
    let first = id(&list);
    list.update("s", &update(json!({}), Some(0.5))).unwrap();
    assert_eq!(id(&list), first);
    list.remove("s").unwrap();
    list.add(draft("stall", "s", json!({}))).unwrap();
    assert_ne!(id(&list), first);
}

#[test]
fn a_rate_is_shared_as_its_scope_says() {
    let buckets = Buckets::default();
    let (one, two) = (ToxicList::new(buckets.clone()), ToxicList::new(buckets));
    for list in [&one, &two] {
        list.add(draft("bandwidth", "named", json!({"rate": 10, "bucket": "a>b"}))).unwrap();
        list.add(draft("bandwidth", "plain", json!({"rate": 10}))).unwrap();
        list.add(draft("bandwidth", "each", json!({"rate": 10, "scope": "connection"}))).unwrap();
    }
    let same = |name| match (bucket(&one, name), bucket(&two, name)) {
        (Some(a), Some(b)) => Arc::ptr_eq(&a, &b),
        _ => false,
    };
    assert!(same("named") && !same("plain") && !same("each"));
    assert!(bucket(&one, "plain").is_some() && bucket(&one, "each").is_none());
}

#[test]
fn a_new_rate_keeps_the_bucket_and_a_new_scope_does_not() {
    let list = ToxicList::new(Buckets::default());
    list.add(draft("bandwidth", "b", json!({"rate": 10}))).unwrap();
    let first = bucket(&list, "b").unwrap();
    list.update("b", &update(json!({"rate": 20}), None)).unwrap();
    assert!(Arc::ptr_eq(&first, &bucket(&list, "b").unwrap()));
    list.update("b", &update(json!({"scope": "connection"}), None)).unwrap();
    assert!(bucket(&list, "b").is_none());
    let refusal = list.update("b", &update(json!({"bucket": "x"}), None)).unwrap_err();
    assert!(refusal.to_string().contains("bucket must be absent"), "{refusal}");
}

#[test]
fn the_number_of_toxics_is_bounded() {
    let list = ToxicList::new(Buckets::default());
    for i in 0..TOXICS_MAX {
        list.add(draft("latency", &format!("t{i}"), json!({}))).unwrap();
    }
    let refusal = list.add(draft("latency", "more", json!({}))).unwrap_err();
    assert_eq!(refusal.to_string(), format!("at most {TOXICS_MAX} toxics of one proxy"));
}
