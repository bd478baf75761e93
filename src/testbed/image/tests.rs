use std::collections::BTreeMap;
use std::io::Read as _;

use proptest::prelude::*;

use super::*;

/// A 64-bit little-endian header and one program header for each kind.
fn executable(kinds: &[u32]) -> Vec<u8> {
    const HEADER_BYTES: u8 = 64;
    const ENTRY_BYTES: u8 = 56;
    let mut file = vec![0; usize::from(HEADER_BYTES)];
    file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
    file[32] = HEADER_BYTES;
    file[54] = ENTRY_BYTES;
    file[56] = u8::try_from(kinds.len()).unwrap();
    for kind in kinds {
        file.extend_from_slice(&kind.to_le_bytes());
        file.resize(file.len() + usize::from(ENTRY_BYTES) - 4, 0);
    }
    file
}

#[test]
fn a_loader_is_found_wherever_it_stands() {
    assert_eq!(is_static(&executable(&[1, 2, 6])), Ok(true));
    assert_eq!(is_static(&executable(&[6, 3, 1])), Ok(false));
    assert_eq!(is_static(&executable(&[6, 1, 3])), Ok(false));
    assert_eq!(is_static(b"#!/bin/sh\n"), Err(ElfError::Format));
    let whole = executable(&[1, 2]);
    assert_eq!(is_static(&whole[..100]), Err(ElfError::Truncated));
    assert_eq!(is_static(&whole[..40]), Err(ElfError::Truncated));
}

#[test]
fn this_repository_links_statically() {
    let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(is_static(&this), Ok(true));
}

#[test]
fn a_dynamic_executable_is_refused_with_a_way_out() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), executable(&[3])).unwrap();
    let error = check_static(file.path(), OWN_HINT).unwrap_err();
    assert!(matches!(&error, RuntimeError::Environment { hint, .. } if hint.contains(".cargo")));
}

#[test]
fn a_peer_takes_the_place_of_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let [program, peer] = ["program", "peer"].map(|bytes| {
        let path = directory.path().join(bytes);
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let archive = context::archive(Vec::new(), &program, Some(&peer)).unwrap();
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.insert(entry.path().unwrap().display().to_string(), bytes);
    }
    assert_eq!(found["rootfs/dropbed"], b"program");
    assert_eq!(found["rootfs/dropd"], b"peer");
}

#[test]
fn each_peer_has_an_image_of_its_own() {
    let name = peer_image(Path::new("/a/peer"));
    assert!(name.starts_with("dropbed:peer-") && name.len() < 64, "{name}");
    assert_eq!(name, peer_image(Path::new("/a/peer")));
    assert_ne!(name, peer_image(Path::new("/b/peer")));
}

#[test]
fn the_context_holds_one_executable_under_two_names() {
    let program = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(program.path(), b"program").unwrap();
    let archive = context::archive(Vec::new(), program.path(), None).unwrap();
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let path = entry.path().unwrap().display().to_string();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string());
        let path = path.trim_end_matches('/').to_owned();
        entries.insert(path, (entry.header().mode().unwrap(), link, bytes));
    }
    assert_eq!(entries["rootfs/dropbed"], (0o755, None, b"program".to_vec()));
    assert_eq!(entries["rootfs/dropd"].1.as_deref(), Some("dropbed"));
    assert_eq!(entries["rootfs/tmp"].0, 0o1777);
    for directory in ["rootfs/mnt/dropd", "rootfs/run/dropbed", "rootfs/state", "rootfs/share"] {
        assert!(entries.contains_key(directory), "{directory}");
    }
    assert_eq!(archive, context::archive(Vec::new(), program.path(), None).unwrap());
}

#[test]
fn the_digest_follows_the_executable() {
    let directory = tempfile::tempdir().unwrap();
    let file = |bytes: &str| {
        let path = directory.path().join(bytes);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let digest = |executable: &str, peer: Option<&str>| {
        context::digest(&file(executable), peer.map(file).as_deref()).unwrap()
    };
    assert_eq!(digest("a", None), digest("a", None));
    assert_ne!(digest("a", None), digest("b", None));
    assert_ne!(digest("a", Some("b")), digest("a", None));
    assert_ne!(digest("bc", Some("a")), digest("c", Some("ab")));
}

#[test]
fn an_image_of_another_executable_is_told_with_both() {
    let of = |version: &str, digest: &str| Origin::of(version, digest, "bbbbbbbbbbbbbbbb");
    assert_eq!(of("0.1.0", "bbbbbbbbbbbbbbbb"), Origin::ThisExecutable);
    assert_eq!(Origin::ThisExecutable.warning("mine:1"), None);
    let other = of("0.0.9", "aaaaaaaaaaaaaaaa").warning("mine:1").unwrap();
    for word in ["mine:1", "0.0.9", "aaaaaaaaaaaa", env!("CARGO_PKG_VERSION"), "bbbbbbbbbbbb"] {
        assert!(other.contains(word), "{word}: {other}");
    }
    assert!(other.contains("unset DROPBED_IMAGE"), "the way out: {other}");
    let early = of("", "aaaaaaaaaaaaaaaa").warning("mine:1").unwrap();
    assert!(early.contains("does not say") && early.contains("aaaaaaaaaaaa"), "{early}");
    let foreign = of("", "").warning("mine:1").unwrap();
    assert!(foreign.contains("mine:1") && foreign.contains("does not say"), "{foreign}");
}

proptest! {
    #[test]
    fn any_file_is_judged_without_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        elf: bool,
    ) {
        if elf && bytes.len() >= 6 {
            bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        }
        prop_assert_eq!(is_static(&bytes) == Err(ElfError::Format), !bytes.starts_with(b"\x7fELF\x02\x01"));
    }
}
