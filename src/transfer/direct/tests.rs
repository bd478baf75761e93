use futures::FutureExt as _;
use proptest::prelude::*;

use super::*;

/// A body of exactly these frames.
struct Frames(VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut map = HeaderMap::new();
    status.add_header(&mut map).unwrap();
    Frame::trailers(map)
}

fn messages(frames: impl IntoIterator<Item = Frame<Bytes>>) -> Messages<wire::FilePart> {
    Messages::over(Body::new(Frames(frames.into_iter().collect())))
}

fn part(offset_bytes: u64, data: Vec<u8>) -> wire::FilePart {
    let version = (offset_bytes == 0).then(wire::Version::default);
    wire::FilePart { version, offset_bytes, data: data.into() }
}

/// The frames that these parts go out as, up to the trailers.
fn frames(parts: Vec<wire::FilePart>) -> Vec<Bytes> {
    let stream = futures::stream::iter(parts.into_iter().map(Ok));
    let mut body = Outgoing { messages: Box::pin(stream), data: None, ended: false };
    let mut pieces = Vec::new();
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).now_or_never();
        let frame = frame.expect("the parts are there").expect("trailers come first").unwrap();
        match frame.into_data() {
            Ok(data) => pieces.push(data),
            Err(frame) => {
                assert_eq!(frame.trailers_ref().unwrap()["grpc-status"], "0");
                return pieces;
            }
        }
    }
}

fn next(messages: &mut Messages<wire::FilePart>) -> Result<Option<wire::FilePart>, Status> {
    messages.message().now_or_never().expect("all frames are there")
}

fn parts() -> impl Strategy<Value = Vec<wire::FilePart>> {
    let length =
        prop_oneof![0..40usize, COPIED_BYTES_MAX - 2..COPIED_BYTES_MAX + 3, 20_000..20_002usize];
    let part = (any::<u64>(), length, any::<u8>())
        .prop_map(|(offset, length, byte)| part(offset, vec![byte; length]));
    proptest::collection::vec(part, 0..6)
}

proptest! {
    /// However the frames are cut, the same messages come out.
    #[test]
    fn any_cut_yields_the_messages(parts in parts(), piece_bytes in 1..9000usize) {
        let whole: Vec<u8> = frames(parts.clone()).concat();
        let cut = whole.chunks(piece_bytes).map(|piece| Frame::data(Bytes::copy_from_slice(piece)));
        let mut messages = messages(cut.chain([trailers(&Status::new(Code::Ok, ""))]));
        for part in parts {
            prop_assert_eq!(next(&mut messages).unwrap(), Some(part));
        }
        prop_assert_eq!(next(&mut messages).unwrap(), None);
    }
}

#[test]
fn data_is_never_copied() {
    let data = Bytes::from(vec![7; 512 << 10]);
    let at = data.as_ptr();
    let sent = frames(vec![wire::FilePart { data, ..part(3, Vec::new()) }]);
    assert_eq!(sent.len(), 2, "a head and the data");
    assert_eq!(sent[1].as_ptr(), at);
    let mut messages = messages(sent.into_iter().map(Frame::data));
    assert_eq!(next(&mut messages).unwrap().unwrap().data.as_ptr(), at);
}

#[test]
fn small_pieces_are_put_together() {
    let mut rope = Rope::default();
    let sent: Vec<u8> = (0..200_000u32).map(|at| at.to_le_bytes()[0]).collect();
    for byte in &sent[..100_000] {
        rope.push(Bytes::copy_from_slice(&[*byte]));
    }
    assert_eq!((rope.pieces.len(), rope.tail.len()), (1, 99_999));
    rope.push(Bytes::copy_from_slice(&sent[100_000..]));
    assert_eq!((rope.pieces.len(), rope.tail.len()), (3, 0));
    assert_eq!(rope.copy_to_bytes(sent.len()), sent);
    assert!(!rope.has_remaining());
}

#[test]
fn what_is_no_message_is_an_error() {
    let error = |frames: Vec<Frame<Bytes>>| {
        let mut messages = messages(frames);
        loop {
            match next(&mut messages) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended well"),
                Err(status) => return (status.code(), status.message().to_owned()),
            }
        }
    };
    let bytes = |bytes: &'static [u8]| Frame::data(Bytes::from_static(bytes));
    let fine = || trailers(&Status::new(Code::Ok, ""));
    let (code, words) = error(vec![bytes(&[1, 0, 0, 0, 0])]);
    assert_eq!((code, words.contains("compresses")), (Code::Unimplemented, true), "{words}");
    let (code, words) = error(vec![bytes(&[0, 255, 255, 255, 255])]);
    assert_eq!((code, words.contains("4294967295")), (Code::OutOfRange, true), "{words}");
    let (code, words) = error(vec![bytes(&[0, 0, 0, 0, 2, 0xff, 0xff])]);
    assert_eq!((code, words.contains("no message")), (Code::Internal, true), "{words}");
    let (code, words) = error(vec![bytes(&[0, 0, 0, 0, 9, 1]), fine()]);
    assert_eq!((code, words.contains("within")), (Code::Internal, true), "{words}");
    let (code, words) = error(vec![bytes(&[0, 0])]);
    assert_eq!((code, words.contains("within")), (Code::Internal, true), "{words}");
    let (code, words) = error(vec![]);
    assert_eq!((code, words.contains("without a status")), (Code::Internal, true), "{words}");
    let (code, words) = error(vec![bytes(&[0, 0, 0, 0, 0]), trailers(&Status::data_loss("fire"))]);
    assert_eq!((code, words.as_str()), (Code::DataLoss, "fire"));
}
