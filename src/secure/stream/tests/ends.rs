//! How streams end: with a close, without one, and when nothing moves any more.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_end_without_a_close_is_an_error() {
    let (mut a, mut b) = pair(4096, NO_LIMIT);
    a.write_all(b"half of it").await.unwrap();
    a.flush().await.unwrap();
    drop(a);
    let mut received = Vec::new();
    let error = b.read_to_end(&mut received).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(record_error(&error), RecordError::Truncated);
    assert_eq!(received, b"half of it");
    assert!(b.handle().is_closed());
    // And so it stays: neither half goes on.
    assert_eq!(record_error(&b.read_u8().await.unwrap_err()), RecordError::Truncated);
    assert_eq!(record_error(&b.write(b"x").await.unwrap_err()), RecordError::Truncated);
}

#[tokio::test(start_paused = true)]
async fn a_closed_end_writes_no_more_and_the_other_direction_goes_on() {
    let (mut a, mut b) = pair(4096, NO_LIMIT);
    a.shutdown().await.unwrap();
    let error = a.write(b"x").await.unwrap_err();
    assert_eq!(record_error(&error), RecordError::AfterClose);
    assert_eq!(b.read(&mut [0; 8]).await.unwrap(), 0);
    b.write_all(b"bye").await.unwrap();
    b.shutdown().await.unwrap();
    let mut heard = Vec::new();
    a.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"bye");
}

/// Then there is nothing but another session: who has this one sees it closed.
#[tokio::test(start_paused = true)]
async fn after_the_last_epoch_the_session_is_over() {
    let (mut a, mut b) = pair(4096, NO_LIMIT);
    a.channel.skip_to_last_epoch();
    b.channel.skip_to_last_epoch();
    a.write_all(b"last").await.unwrap();
    a.flush().await.unwrap();
    b.read_exact(&mut [0; 4]).await.unwrap();
    let handle = a.handle();
    handle.request_rekey();
    let error = a.flush().await.unwrap_err();
    assert!(matches!(record_error(&error), RecordError::Epochs(_)), "{error}");
    assert!(error.to_string().contains("connect again"), "{error}");
    assert!(handle.is_closed(), "the next call makes another session");
    drop(a);
    let error = b.read_u8().await.unwrap_err();
    assert_eq!(record_error(&error), RecordError::Truncated);
    assert!(b.handle().is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_given_up() {
    let (mut a, b) = pair(4096, NO_LIMIT);
    let handle = a.handle();
    let began = Instant::now();
    let sent = async {
        loop {
            if let Err(error) = a.write_all(&[0; 10_000]).await {
                return error;
            }
        }
    };
    let error = sent.await;
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(record_error(&error), RecordError::Stalled { deadline_ms: STALL_MS });
    assert_eq!(began.elapsed().as_millis(), u128::from(STALL_MS));
    assert!(handle.is_closed());
    assert_eq!(record_error(&a.read_u8().await.unwrap_err()), record_error(&error));
    drop(b);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_stall() {
    let (mut a, mut b) = pair(4096, NO_LIMIT);
    let sent = bytes(40_000, 9);
    let write = async {
        a.write_all(&sent).await.unwrap();
        a.shutdown().await.unwrap();
    };
    let read = async {
        let mut received = Vec::new();
        let mut part = [0; 4096];
        loop {
            // Half of the deadline between two reads.
            tokio::time::advance(Duration::from_millis(STALL_MS / 2)).await;
            match b.read(&mut part).await.unwrap() {
                0 => return received,
                length => received.extend_from_slice(&part[..length]),
            }
        }
    };
    let ((), received) = tokio::join!(write, read);
    assert!(received == sent);
}
