use super::*;

const VERSION: Version =
    Version { size_bytes: 10, mtime_s: 1, mtime_ns: 2, inode: 3, ctime_s: 4, ctime_ns: 5 };

fn part(version: Option<Version>, offset_bytes: u64, data: &'static [u8]) -> wire::FilePart {
    let data = Bytes::from_static(data);
    wire::FilePart { version: version.map(Into::into), offset_bytes, data }
}

#[test]
fn contiguous_parts_are_taken() {
    let mut expected = Expected::new(Some(VERSION), 2, None, None);
    assert_eq!(expected.accept(part(Some(VERSION), 2, b"cdef"), true).unwrap(), "cdef");
    expected.accept(part(None, 6, b"gh"), false).unwrap();
    assert_eq!(expected.finish(false).unwrap_err(), "the stream ended 2 bytes early");
    expected.accept(part(Some(VERSION), 8, b"ij"), false).unwrap();
    expected.finish(false).unwrap();
}

#[test]
fn what_does_not_belong_is_refused() {
    let other = Version { ctime_ns: 6, ..VERSION };
    let begun = || {
        let mut expected = Expected::new(None, 0, Some(4), None);
        expected.accept(part(Some(VERSION), 0, b"ab"), true).unwrap();
        expected
    };
    for (bad, why) in [
        (part(Some(other), 2, b"cd"), "another version"),
        (part(None, 3, b"d"), "at 3 instead of 2"),
        (part(None, 1, b"b"), "at 1 instead of 2"),
        (part(None, 2, b"cde"), "more bytes"),
    ] {
        let reason = begun().accept(bad, false).unwrap_err();
        assert!(reason.contains(why), "{reason}");
    }
    for (bad, why) in
        [(part(None, 0, b"ab"), "no version"), (part(Some(other), 0, b"ab"), "another version")]
    {
        let reason = Expected::new(Some(VERSION), 0, None, None).accept(bad, true).unwrap_err();
        assert!(reason.contains(why), "{reason}");
    }
    let behind = Expected::new(None, 11, None, None).accept(part(Some(VERSION), 11, b""), true);
    assert!(behind.unwrap_err().contains("ends before"));
    assert!(Expected::new(None, 0, None, None).finish(true).unwrap_err().contains("first part"));
}
