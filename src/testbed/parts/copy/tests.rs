use super::*;

fn peer(name: &str, path: &str) -> Side {
    Side::Peer { name: name.to_owned(), path: PathBuf::from(path) }
}

#[test]
fn a_peers_path_is_told_from_a_local_one() {
    for (text, side) in [
        ("bob:big.bin", peer("bob", "/share/big.bin")),
        ("bob:/mnt/dropd/alice/f", peer("bob", "/mnt/dropd/alice/f")),
        ("bob:", peer("bob", "/share/")),
        ("bob:a:b", peer("bob", "/share/a:b")),
        ("big.bin", Side::Local("big.bin".into())),
        ("./a:b", Side::Local("./a:b".into())),
        ("/tmp/a:b", Side::Local("/tmp/a:b".into())),
    ] {
        assert_eq!(Side::parse(text).unwrap(), side, "{text}");
    }
    let upward = Side::parse("bob:/share/../state/identity").unwrap_err().to_string();
    assert!(upward.contains(".."), "{upward}");
}

#[test]
fn one_side_is_in_a_peer() {
    let local = Side::Local("x".into());
    assert_eq!(peer_of(&peer("a", "/share/x"), &local).unwrap(), "a");
    assert_eq!(peer_of(&local, &peer("b", "/share/x")).unwrap(), "b");
    for (from, to, hint) in
        [(&local, &local, "PEER:PATH"), (&peer("a", "/x"), &peer("b", "/x"), "dropd pull")]
    {
        let text = peer_of(from, to).unwrap_err().to_string();
        assert!(text.contains(hint), "{text}");
    }
}

#[test]
fn what_is_not_here_is_told_before_a_peer_is_asked() {
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("f");
    std::fs::write(&file, "x").unwrap();
    let local = |path: &Path| Side::Local(path.to_owned());
    let bob = peer("bob", "/share/x");
    for good in [&file, &here.path().join("new")] {
        check_here(&bob, &local(good)).unwrap();
    }
    check_here(&bob, &Side::Local("new".into())).unwrap();
    check_here(&local(&file), &bob).unwrap();
    let none = local(&here.path().join("none"));
    for (from, to, word) in
        [(&none, &bob, "none"), (&bob, &local(&here.path().join("none/x")), "make it first")]
    {
        let error = check_here(from, to).unwrap_err();
        assert_eq!(error.exit(), crate::cli::exit::Exit::BadInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}
