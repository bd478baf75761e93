use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

#[tokio::test]
async fn a_reader_that_waits_is_woken_and_the_other_end_hears_the_end() {
    let (near, mut far) = duplex(64);
    let forgotten = CancellationToken::new();
    let mut near = Admitted::dialled(near, forgotten.clone());
    near.write_all(b"before").await.unwrap();
    let reading = tokio::spawn(async move {
        let ended = near.read_u8().await.unwrap_err();
        (near, ended)
    });
    let mut heard = [0; 6];
    far.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"before");
    assert!(!reading.is_finished(), "it waits for bytes");
    forgotten.cancel();
    let (mut near, ended) = reading.await.unwrap();
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(far.read(&mut heard).await.unwrap(), 0, "a good-bye, though it is not dropped");
    let refused = near.write_all(b"after").await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionAborted);
}

/// A peer that takes nothing cannot keep its session.
#[tokio::test]
async fn a_writer_that_is_blocked_is_woken() {
    let (near, _far) = duplex(1);
    let forgotten = CancellationToken::new();
    let mut near = Admitted::dialled(near, forgotten.clone());
    let writing = tokio::spawn(async move { near.write_all(b"more than fits").await });
    forgotten.cancel();
    let ended = writing.await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_begin_to_speak_is_given_up_and_one_that_does_is_not() {
    for (said, lives) in [(0, false), (PREFACE_BYTES - 1, false), (PREFACE_BYTES, true)] {
        let (near, mut far) = duplex(64);
        let mut near = Admitted::accepted(near, "peer", CancellationToken::new(), Arc::default());
        far.write_all(&vec![7; said]).await.unwrap();
        near.read_exact(&mut vec![0; said]).await.unwrap();
        let began = tokio::time::Instant::now();
        let waited = tokio::time::timeout(2 * PREFACE_DEADLINE, near.read_u8()).await;
        assert_eq!(waited.is_err(), lives, "{said} bytes");
        if let Ok(ended) = waited {
            assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(began.elapsed(), PREFACE_DEADLINE);
            assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "a good-bye");
        }
    }
}
