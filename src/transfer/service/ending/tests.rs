use futures::stream;

use super::*;

#[tokio::test]
async fn a_stop_is_told_once_in_place_of_the_rest() {
    let stop = CancellationToken::new();
    let endless = stream::iter(1..).map(Ok);
    let mut answers = until(endless, &stop);
    assert_eq!(answers.next().await.unwrap().unwrap(), 1);
    stop.cancel();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn answers_that_wait_are_woken_by_a_stop() {
    let stop = CancellationToken::new();
    let mut answers = until(stream::pending::<Result<(), Status>>(), &stop);
    let waiting = tokio::spawn(async move { answers.next().await });
    stop.cancel();
    assert!(waiting.await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn answers_that_are_complete_are_no_error() {
    let stop = CancellationToken::new();
    let answers: Vec<_> = until(stream::iter([Ok(1), Ok(2)]), &stop).collect().await;
    assert_eq!(answers.into_iter().filter_map(Result::ok).collect::<Vec<_>>(), [1, 2]);
    // The same where the stop comes after the last answer.
    let mut answers = until(stream::iter([Ok(1)]), &stop);
    assert!(answers.next().await.unwrap().is_ok());
    assert!(answers.next().await.is_none());
    stop.cancel();
    assert!(answers.next().await.is_none());
}
