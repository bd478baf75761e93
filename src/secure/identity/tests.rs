use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn an_id_survives_its_text(key: [u8; KEY_BYTES]) {
        let id = PeerId::from_bytes(key);
        let text = id.to_string();
        prop_assert_eq!(text.len(), 56);
        prop_assert_eq!(text.parse::<PeerId>(), Ok(id));
        prop_assert_eq!(text.to_uppercase().parse::<PeerId>(), Ok(id));
    }

    #[test]
    fn a_typing_error_is_told_from_a_wrong_key(
        key: [u8; KEY_BYTES],
        position in 0usize..56,
        letter in "[a-z2-7]",
    ) {
        let mut text = PeerId::from_bytes(key).to_string();
        prop_assume!(text[position..=position] != letter);
        text.replace_range(position..=position, &letter);
        prop_assert_eq!(text.parse::<PeerId>(), Err(PeerIdError::Checksum));
    }
}

#[test]
fn the_text_says_what_is_wrong_with_it() {
    let text = PeerId::from_bytes([7; KEY_BYTES]).to_string();
    assert_eq!(text[1..].parse::<PeerId>(), Err(PeerIdError::Length { found: 55 }));
    let wrong = format!("{}1{}", &text[..4], &text[5..]);
    let error = PeerIdError::Character { position: 5, found: '1' };
    assert_eq!(wrong.parse::<PeerId>(), Err(error));
    let beyond_ascii = format!("{}\u{df}{}", &text[..4], &text[5..]);
    let error = PeerIdError::Character { position: 5, found: '\u{df}' };
    assert_eq!(beyond_ascii.parse::<PeerId>(), Err(error));
}

#[test]
fn a_secret_is_never_taken_for_an_id() {
    let secret = text::encode(text::Kind::Secret, &[9; KEY_BYTES]);
    assert_eq!(secret.parse::<PeerId>(), Err(PeerIdError::Checksum));
}

#[test]
fn the_id_is_the_x25519_public_key() {
    // RFC 7748 section 6.1, Alice.
    let secret = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    let identity = Identity::from_secret(Zeroizing::new(secret.try_into().unwrap()));
    assert_eq!(identity.id().as_bytes().as_slice(), public);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn a_new_identity_is_private_and_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    let made = Identity::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let loaded = Identity::load_or_create(&path).unwrap();
    assert_eq!((loaded.id(), loaded.secret()), (made.id(), made.secret()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    Identity::load_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Identity::load_or_create(&path).unwrap_err();
        assert!(matches!(error, IdentityError::TooOpen { mode: found, .. } if found == mode));
        assert!(error.to_string().contains("chmod 600 /"), "{error}");
    }
}

#[test]
fn what_is_not_an_identity_is_neither_used_nor_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    Identity::load_or_create(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let replace = |content: &str| {
        fs::write(&path, content).unwrap();
        let error = Identity::load_or_create(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        error
    };
    assert!(matches!(replace(""), IdentityError::NotAnIdentity { .. }));
    assert!(matches!(replace("ssh-ed25519 AAAA\n"), IdentityError::NotAnIdentity { .. }));
    assert!(matches!(replace(&good[..good.len() - 5]), IdentityError::Damaged { .. }));
}

#[test]
fn identities_made_at_once_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    let ids: HashSet<PeerId> = std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Identity::load_or_create(&path).unwrap().id())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_secret_is_never_printed() {
    let identity = Identity::generate().unwrap();
    let printed = format!("{identity:?}");
    assert!(printed.starts_with("Identity { id: PeerId("), "{printed}");
    assert!(!printed.contains(&text::encode(text::Kind::Secret, identity.secret())[..8]));
}
