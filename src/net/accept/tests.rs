use super::*;

#[tokio::test(start_paused = true)]
async fn want_of_descriptors_pauses_and_a_dead_connection_does_not() {
    let start = tokio::time::Instant::now();
    let complaints = Complaints::default();
    pause_after(&io::ErrorKind::ConnectionAborted.into(), &complaints).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    // EMFILE
    pause_after(&io::Error::from_raw_os_error(24), &complaints).await;
    assert!(start.elapsed() >= PAUSE);
}
