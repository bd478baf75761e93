use super::*;

const LARGE: u32 = 4 << 20;

/// What a peer can hold, and all of them, besides what each has for itself.
const PEER_BYTES: u64 = 1 << 28;
const FLOOR_BYTES: u64 = 1 << 24;

/// Takes until there is nothing left.
async fn hoard(purse: &Purse) -> Vec<Held> {
    let mut held = Vec::new();
    while let Ok(one) = purse.take(LARGE).await {
        held.push(one);
    }
    held
}

fn bytes(held: &[Held]) -> u64 {
    held.len() as u64 * u64::from(LARGE)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_takes_a_quarter_and_nobody_else_s() {
    let budget = Budget::default();
    let (greedy, modest) = (budget.of("greedy"), budget.of("modest"));
    let mut held = hoard(&greedy).await;
    assert_eq!(bytes(&held), PEER_BYTES + FLOOR_BYTES);
    // Another call of the same peer does not begin anew.
    let error = budget.of("greedy").take(1).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert!(modest.take(LARGE).await.is_ok());
    // A part of an answer that is still under way holds all of it.
    let part = held.pop().unwrap().with(Bytes::from_static(b"data")).slice(1..2);
    assert!(greedy.take(LARGE).await.is_err());
    drop(part);
    assert!(greedy.take(LARGE).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_peers_together_have_a_bound_and_each_a_little_for_itself() {
    let budget = Budget::default();
    let mut held = Vec::new();
    for peer in ["a", "b", "c", "d"] {
        held.push(hoard(&budget.of(peer)).await);
    }
    assert_eq!(held.iter().map(|held| bytes(held)).sum::<u64>(), (1 << 30) + 4 * FLOOR_BYTES);
    let fifth = hoard(&budget.of("e")).await;
    assert_eq!(bytes(&fifth), FLOOR_BYTES);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_when_something_is_given_back() {
    let purse = Budget::default().of("peer");
    let mut held = hoard(&purse).await;
    // As much as two answers had: of the peer's own room, or of everybody's.
    for of_floor in [true, false] {
        let mut waiting = Box::pin(purse.take(2 * LARGE));
        assert!(futures::poll!(&mut waiting).is_pending());
        let index = if of_floor { 0 } else { 2 };
        drop(held.drain(index..index + 2));
        held.push(waiting.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn the_answers_of_a_stream_of_reads_wait_for_each_other() {
    let purse = Budget::default().of("peer");
    let stream = purse.clone().of_stream();
    let mut held = Vec::new();
    for _ in 0..FLOOR_BYTES / u64::from(LARGE) {
        held.push(stream.take(LARGE).await.unwrap());
    }
    let mut waiting = Box::pin(stream.take(1));
    assert!(futures::poll!(&mut waiting).is_pending());
    // However long: its peer has room for others, and knows best when it goes on.
    tokio::time::advance(10 * ANSWER_WAIT).await;
    assert!(futures::poll!(&mut waiting).is_pending());
    assert!(purse.clone().of_stream().take(LARGE).await.is_ok());
    held.pop();
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn listings_take_turns() {
    let budget = Budget::default();
    let mut turns = Vec::new();
    for _ in 0..LISTINGS_MAX {
        turns.push(budget.of("peer").list().await.unwrap());
    }
    let error = budget.of("peer").list().await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    turns.pop();
    assert!(budget.of("peer").list().await.is_ok());
}
