use super::{GOOD, one, parse};

/// What `GOOD` with these profiles, and alice told this, is told.
fn profiles(profiles: &str, alice: &str) -> String {
    let text = GOOD.replace("peers:", &format!("profiles: {profiles}\npeers:"));
    one(parse(&text.replace("  alice: {}", &format!("  alice: {alice}"))))
}

#[test]
fn in_profiles() {
    let said = [
        profiles("{ small: {} }", "{ profile: smal }"),
        profiles("{ small: {} }", "{ profile: [small, large] }"),
        profiles("{}", "{ profile: small }"),
        profiles("{ small: {} }", "{ profile: [small, small] }"),
        profiles("{ small: {} }", "{ profile: { small: 1 } }"),
        profiles("{ small: {} }", "{ profile: [1] }"),
        profiles("{ small: {} }", "{ profil: small }"),
        profiles("{ small: { profile: bse }, base: {} }", "{}"),
        profiles("{ small: { count: 2 } }", "{}"),
        profiles("{ Small: {} }", "{}"),
        profiles("[small]", "{}"),
        profiles("{ small: 5 }", "{ profile: small }"),
        profiles("{ small: { rekey_bytes: 4 } }", "{ profile: small }"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn in_circles() {
    let said = [
        profiles("{ own: { profile: own } }", "{ profile: own }"),
        profiles(
            "\n  a: { profile: b }\n  b: { profile: [d, c] }\n  c: { mount: true, profile: a }\n  d: {}",
            "{ profile: c }",
        ),
        profiles("\n  into: { profile: a }\n  a: { profile: b }\n  b: { profile: a }", "{}"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_circle_is_told() {
    let circles =
        "{ a: { profile: [b, c] }, b: { profile: a }, c: { profile: a }, d: { profile: d } }";
    let text = GOOD.replace("peers:", &format!("profiles: {circles}\npeers:"));
    let found = parse(&text).unwrap_err();
    let said: Vec<&str> = found.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    let circle = "profiles inherit in a circle: ";
    let circles = ["a -> b -> a", "a -> c -> a", "d -> d"].map(|path| format!("{circle}{path}"));
    assert_eq!(said, circles);
}
