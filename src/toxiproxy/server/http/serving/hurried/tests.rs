use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

/// Takes a byte every second, for ever.
async fn sip(mut from: DuplexStream) {
    let mut byte = [0];
    while matches!(from.read(&mut byte).await, Ok(1..)) {
        // How slowly this peer reads.
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_byte_now_and_then_is_given_up() {
    let (near, far) = duplex(16);
    let reader = tokio::spawn(sip(far));
    let mut near = Hurried::new(near, LIMIT);
    let started = Instant::now();
    let error = near.write_all(&[0; 1_000]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    let took = started.elapsed();
    assert!((LIMIT..LIMIT + Duration::from_millis(10)).contains(&took), "{took:?}");
    drop(near);
    reader.await.unwrap();
}

/// Many answers together may take longer: each has its own deadline.
#[tokio::test(start_paused = true)]
async fn each_answer_has_its_own_deadline() {
    let (near, far) = duplex(16);
    let reader = tokio::spawn(sip(far));
    let mut near = Hurried::new(near, LIMIT);
    let started = Instant::now();
    for _answer in 0..10 {
        near.write_all(&[0; 20]).await.unwrap();
        near.flush().await.unwrap();
    }
    assert!(started.elapsed() > LIMIT * 5, "{:?}", started.elapsed());
    drop(near);
    reader.await.unwrap();
}
