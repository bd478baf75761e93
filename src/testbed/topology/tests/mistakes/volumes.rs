use super::{GOOD, one, parse};

fn alice(volumes: &str) -> String {
    one(parse(&GOOD.replace("  alice: {}", &format!("  alice: {{ volumes: {volumes} }}"))))
}

#[test]
fn in_volumes() {
    let said = [
        alice("{ shares: disk }"),
        alice("disk"),
        alice("{ share: memory }"),
        alice("{ share: tmpfs }"),
        alice("{ share: /srv/films }"),
        alice("{ share: [disk] }"),
        alice("{ share: {} }"),
        alice("{ share: { read_only: true } }"),
        alice("{ share: { memory: 64 } }"),
        alice("{ share: { memory: 1KiB } }"),
        alice("{ share: { memory: 256MiB, directory: /srv } }"),
        alice("{ share: { memory: 256MiB, read_only: true } }"),
        alice("{ share: { directory: srv/films } }"),
        alice("{ share: { directory: / } }"),
        alice("{ share: { directory: /srv/../etc } }"),
        alice("{ share: { directory: \"/srv/\\n\" } }"),
        alice(&format!("{{ share: {{ directory: /{} }} }}", "d".repeat(4095))),
        alice("{ state: { directory: /srv, read_only: true } }"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn in_what_lies_in_volumes() {
    let state = "defaults: { peer: { volumes: { state: { directory: /srv/state } } } }\npeers:";
    let shared = "profiles:\n  films:\n    volumes: { share: { directory: /srv/films, read_only: true } }\npeers:";
    let said = [
        alice("{ share: { directory: /srv/films, read_only: true } }"),
        alice("{ share: { memory: 32MiB } }"),
        one(parse(&GOOD.replace("peers:", state))),
        one(parse(
            &GOOD.replace("peers:", shared).replace("alice: {}", "alice: { profile: films }"),
        )),
    ];
    insta::assert_snapshot!(said.join("\n"));
}
