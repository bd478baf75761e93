//! Keys change under traffic and without it.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_idle_session_rekeys_on_demand_in_both_directions() {
    let (a, b) = pair(4096, NO_LIMIT);
    let (here, there) = (a.handle(), b.handle());
    let tasks = [keep_reading(a), keep_reading(b)];
    for round in 0..3 {
        let (sent, received) = here.epochs();
        assert_eq!((sent, received), (round, round));
        here.request_rekey();
        timeout(STUCK, here.epochs_beyond(sent, received)).await.expect("moves without traffic");
        timeout(STUCK, there.epochs_beyond(received, sent)).await.expect("there too");
    }
    for task in tasks {
        task.abort();
    }
    timeout(STUCK, here.closed()).await.expect("a dropped stream is closed");
}

#[tokio::test(start_paused = true)]
async fn both_ends_rekey_at_once_under_traffic() {
    const BYTES: usize = 4 << 20;
    const ROUNDS: u32 = 20;
    let (a, b) = pair(256 * 1024, NO_LIMIT);
    let handles = [a.handle(), b.handle()];
    let mut tasks = Vec::new();
    for (stream, seeds) in [(a, (1, 2)), (b, (2, 1))] {
        let handle = stream.handle();
        let (mut reader, mut writer) = split(stream);
        tasks.push(tokio::spawn(async move {
            let mut received = vec![0; BYTES];
            reader.read_exact(&mut received).await.unwrap();
            assert!(received == bytes(BYTES, seeds.1), "other bytes came out");
            // The end is read too: the last updates are still to be answered.
            assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        }));
        tasks.push(tokio::spawn(async move {
            let sent = bytes(BYTES, seeds.0);
            for part in sent.chunks(BYTES / ROUNDS as usize) {
                handle.request_rekey();
                writer.write_all(part).await.unwrap();
            }
            let (sent, received) = handle.epochs();
            handle.request_rekey();
            handle.epochs_beyond(sent, received).await;
            writer.shutdown().await.unwrap();
        }));
    }
    for task in tasks {
        timeout(STUCK, task).await.expect("nothing hangs").unwrap();
    }
    let [a, b] = handles.map(|handle| handle.epochs());
    assert!(a.0 >= ROUNDS && b.0 >= ROUNDS, "{a:?} {b:?}");
    assert_eq!((a.0, a.1), (b.1, b.0));
}

#[tokio::test(start_paused = true)]
async fn a_rekey_storm_loses_nothing() {
    const BYTES: usize = 64 << 20;
    let limits = RekeyLimits { bytes: REKEY_BYTES_MIN, ..NO_LIMIT };
    let (mut a, mut b) = pair(1 << 20, limits);
    let block = bytes(1 << 20, 3);
    let write = async {
        for _ in 0..BYTES / block.len() {
            a.write_all(&block).await.unwrap();
        }
        a.shutdown().await.unwrap();
    };
    let read = async {
        let mut received = vec![0; block.len()];
        for i in 0..BYTES / block.len() {
            b.read_exact(&mut received).await.unwrap();
            assert!(received == block, "MiB {i} differs");
        }
        assert_eq!(b.read(&mut received).await.unwrap(), 0);
    };
    tokio::join!(write, read);
    // One epoch for every 64 KiB, the first needs no update.
    let epochs = u32::try_from(BYTES as u64 / REKEY_BYTES_MIN).unwrap() - 1;
    assert_eq!(a.handle().epochs(), (epochs, 0));
    assert_eq!(b.handle().epochs(), (0, epochs));
    assert!(b.handle().counters().rekey_gap_ns_max > 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_never_lands_inside_a_record_that_is_half_sent() {
    let (mut a, mut b) = pair(1000, NO_LIMIT);
    let sent = bytes(100_000, 4);
    // The wire takes 1000 bytes of it and the rest is stuck.
    let accepted = a.write(&sent).await.unwrap();
    assert_eq!(accepted, sent.len());
    b.handle().request_rekey();
    b.flush().await.unwrap();
    // Reads the request, and owes an answer that must wait.
    assert!(timeout(STUCK, a.read_u8()).await.is_err());
    assert_eq!(a.handle().epochs(), (0, 1));
    let flush = async {
        a.flush().await.unwrap();
        a.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let ((), read) = tokio::join!(flush, b.read_to_end(&mut received));
    read.unwrap();
    assert!(received == sent);
    assert_eq!(b.handle().epochs(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_folds_on_demand_also_when_it_must_wait() {
    let (a, b) = pair(4096, NO_LIMIT);
    let (here, there) = (a.handle(), b.handle());
    let tasks = [keep_reading(a), keep_reading(b)];
    for round in 0..3 {
        // The second and third are held back for a while, by tokio's clock.
        here.request_fold();
        timeout(STUCK, here.folds_beyond(round)).await.expect("folds without traffic");
        timeout(STUCK, there.folds_beyond(round)).await.expect("there too");
    }
    assert_eq!(here.epochs(), (3, 3));
    for task in tasks {
        task.abort();
    }
}
