use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

#[tokio::test]
async fn a_reader_that_waits_is_woken_and_the_other_end_hears_the_end() {
    let (near, mut far) = duplex(64);
    let forgotten = CancellationToken::new();
    let mut near = Admitted::new(near, forgotten.clone());
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
    let mut near = Admitted::new(near, forgotten.clone());
    let writing = tokio::spawn(async move { near.write_all(b"more than fits").await });
    forgotten.cancel();
    let ended = writing.await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
}
