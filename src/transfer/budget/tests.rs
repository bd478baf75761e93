use super::*;

const LARGE: u32 = 4 << 20;

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_takes_a_quarter_and_nobody_else_s() {
    let budget = Budget::default();
    let (greedy, modest) = (budget.of("greedy"), budget.of("modest"));
    let mut held = Vec::new();
    while let Ok(one) = greedy.take(LARGE).await {
        held.push(one.with(Bytes::from_static(b"data")));
    }
    assert_eq!(held.len() as u64 * u64::from(LARGE), (1 << 30) / 4);
    let error = budget.of("greedy").take(1).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert!(modest.take(LARGE).await.is_ok());
    // A part of an answer that is still under way holds all of it.
    let part = held.pop().unwrap().slice(1..2);
    assert!(greedy.take(LARGE).await.is_err());
    drop(part);
    assert!(greedy.take(LARGE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_peers_together_have_a_bound() {
    let budget = Budget::default();
    let mut held = Vec::new();
    for peer in ["a", "b", "c", "d", "e"] {
        while let Ok(one) = budget.of(peer).take(LARGE).await {
            held.push(one);
        }
    }
    assert_eq!(held.len() as u64 * u64::from(LARGE), 1 << 30);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_when_something_is_given_back_and_a_peer_that_is_gone_is_forgotten() {
    let budget = Budget::default();
    let purse = budget.of("peer");
    let all = purse.take(1 << 28).await.unwrap();
    let waiting = tokio::spawn({
        let purse = purse.clone();
        async move { purse.take(LARGE).await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(all);
    assert!(waiting.await.unwrap());
    drop(purse);
    drop(budget.of("another"));
    assert_eq!(budget.peers.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn listings_take_turns() {
    let purse = Budget::default().of("peer");
    let mut turns = Vec::new();
    for _ in 0..LISTINGS_MAX {
        turns.push(purse.list().await.unwrap());
    }
    assert_eq!(purse.list().await.unwrap_err().code(), tonic::Code::ResourceExhausted);
    turns.pop();
    assert!(purse.list().await.is_ok());
}

/// Between two calls nothing but what they hold remembers a peer.
#[tokio::test(start_paused = true)]
async fn a_peer_does_not_begin_anew_while_it_holds_something() {
    let budget = Budget::default();
    let all = budget.of("peer").take(1 << 28).await.unwrap().with(Bytes::from_static(b"data"));
    assert!(budget.of("peer").take(1).await.is_err());
    drop(all);
    assert!(budget.of("peer").take(1).await.is_ok());
    let mut turns = Vec::new();
    for _ in 0..LISTINGS_MAX {
        turns.push(budget.of("peer").list().await.unwrap());
    }
    assert!(budget.of("peer").list().await.is_err());
}
