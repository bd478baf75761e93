use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_header_survives_the_wire(
        epoch: u32,
        counter: u64,
        bytes in CONTENT_TYPE_BYTES..=RECORD_PLAINTEXT_BYTES_MAX,
    ) {
        let header = Header::new(epoch, counter, bytes);
        prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        prop_assert_eq!(header.wire_bytes(), HEADER_BYTES + bytes + TAG_BYTES);
    }

    #[test]
    fn a_length_is_taken_only_within_its_bounds(bytes: [u8; HEADER_BYTES]) {
        match Header::parse(&bytes) {
            Ok(header) => {
                prop_assert!(header.wire_bytes() <= RECORD_WIRE_BYTES_MAX);
                prop_assert_eq!(header.to_bytes(), bytes);
            }
            Err(error) => prop_assert_eq!(&error.found.to_be_bytes()[..], &bytes[..4]),
        }
    }
}

#[test]
fn the_bounds_are_exact() {
    let with_length = |length: usize| {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        Header::parse(&bytes).is_ok()
    };
    assert!(!with_length(LENGTH_MIN - 1));
    assert!(with_length(LENGTH_MIN));
    assert!(with_length(LENGTH_MAX));
    assert!(!with_length(LENGTH_MAX + 1));
    assert!(!with_length(u32::MAX as usize));
}

#[test]
fn the_layout_is_the_documented_one() {
    let bytes = Header::new(0x0102_0304, 0x0506_0708_090a_0b0c, 1).to_bytes();
    assert_eq!(bytes, [0, 0, 0, 29, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
}
