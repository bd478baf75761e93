use proptest::prelude::*;

use super::*;

#[test]
fn a_line_is_told_when_it_is_complete() {
    let mut lines = Lines::default();
    assert!(lines.add(b"half a ").is_empty());
    assert_eq!(lines.add(b"line\nnext\n\nand"), [&b"half a line"[..], b"next", b""]);
    assert_eq!(lines.rest().as_deref(), Some(&b"and"[..]));
    assert_eq!(lines.rest(), None);
}

#[test]
fn a_line_without_an_end_does_not_grow_for_ever() {
    let mut lines = Lines::default();
    let told: usize = (0..64).map(|_| lines.add(&[b'x'; 4096]).concat().len()).sum();
    assert_eq!(told, 64 * 4096);
}

proptest! {
    /// However the bytes are cut, the lines are the same.
    #[test]
    fn cuts_do_not_matter(bytes in "[a\n]{0,40}", cut in 0_usize..40) {
        let cut = cut.min(bytes.len());
        let whole = |pieces: &[&str]| {
            let mut lines = Lines::default();
            let mut told: Vec<_> = pieces.iter().flat_map(|p| lines.add(p.as_bytes())).collect();
            told.extend(lines.rest());
            told
        };
        prop_assert_eq!(whole(&[&bytes]), whole(&[&bytes[..cut], &bytes[cut..]]));
    }
}
