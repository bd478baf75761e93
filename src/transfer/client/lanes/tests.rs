use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::proto::drop as wire;

fn version(size_bytes: u64) -> Version {
    Version { size_bytes, ..Version::default() }
}

/// What a server sends for a request.
fn parts(request: &wire::StreamFileRequest, file: &[u8]) -> Vec<wire::FilePart> {
    let end = request.offset_bytes + request.length_bytes;
    let step = if request.step_bytes == 0 { request.part_bytes.into() } else { request.step_bytes };
    let mut offset = request.offset_bytes;
    let mut parts = Vec::new();
    loop {
        let length = (end - offset).min(request.part_bytes.into());
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        let data = Bytes::copy_from_slice(&file[range]);
        let version = request.version.filter(|_| offset == request.offset_bytes);
        parts.push(wire::FilePart { version, offset_bytes: offset, data });
        offset += step;
        if offset >= end {
            return parts;
        }
    }
}

proptest! {
    /// Taken in turn, the parts of all stripes are the file, whatever breaks on the way.
    #[test]
    fn stripes_in_turn_are_the_file(
        size in 0..3000usize,
        start in 0..1000usize,
        part_bytes in 1..200u32,
        count_max in 1..9usize,
        breaks in proptest::collection::vec(0..30usize, 0..4),
    ) {
        let file: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let start = start.min(size);
        let mut stripes =
            stripes(version(size as u64), start as u64, size as u64, part_bytes, count_max);
        prop_assert!(stripes.len() <= count_max);
        let mut queues: Vec<_> = stripes
            .iter()
            .map(|stripe| parts(&stripe.request("f".to_owned()), &file).into_iter())
            .collect();
        let mut first = vec![true; stripes.len()];
        let (mut got, mut turn) = (Vec::new(), 0);
        while let Some(part) = queues[turn].next() {
            got.extend_from_slice(&stripes[turn].accept(part, first[turn]).unwrap());
            first[turn] = false;
            if breaks.contains(&(got.len() % 30)) && let Some(rest) = stripes[turn].rest() {
                queues[turn] = parts(&rest.request("f".to_owned()), &file).into_iter();
                (stripes[turn], first[turn]) = (rest, true);
            }
            turn = (turn + 1) % stripes.len();
        }
        for (stripe, first) in stripes.iter().zip(first) {
            prop_assert_eq!(stripe.finish(first), Ok(()));
        }
        prop_assert!(got == file[start..]);
    }
}

#[test]
fn a_part_that_leaves_its_place_is_refused() {
    let mut stripes = stripes(version(1000), 0, 1000, 100, 2);
    let part = |offset_bytes, bytes: usize| wire::FilePart {
        version: Some(version(1000).into()),
        offset_bytes,
        data: vec![0; bytes].into(),
    };
    assert!(stripes[0].accept(part(0, 99), true).unwrap_err().contains("99 bytes instead of 100"));
    assert!(stripes[1].accept(part(0, 100), true).unwrap_err().contains("at 0 instead of 100"));
}
