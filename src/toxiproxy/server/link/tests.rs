//! Real sockets through a real server. Time itself is tested here: lower bounds
//! are exact, upper bounds are those of a busy machine.

use std::io::ErrorKind;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::super::api::{Bandwidth, Effect, Millis, ProxyUpdate, RateBytes, Slicer, Toxic};
use super::super::super::testing::{TestServer, latency, receive_pattern, send_pattern, spec};
use super::super::Options;
use super::super::clock::now_ns;
use super::*;

mod changes;

const MIB: usize = 1024 * 1024;

async fn server() -> TestServer {
    TestServer::start(Options { seed: 1, ..Options::default() }).await
}

#[tokio::test]
async fn latency_is_pipelined_and_order_kept() {
    let server = server().await;
    let (client, upstream) = server.connection(&[latency(Stream::Upstream, 50_000)]).await;
    let start_ns = now_ns();
    let (_, received) =
        tokio::join!(send_pattern(client, 16 * MIB, 8 * 1024), receive_pattern(upstream));
    let took_ms = (now_ns() - start_ns) / 1_000_000;
    assert_eq!(received, 16 * MIB);
    // One read takes 128 KiB at most: one after another that were 128 times 50 ms.
    assert!((50..3_000).contains(&took_ms), "{took_ms} ms");
    let counters = &server.client.counters().await.unwrap()["p"];
    assert_eq!(counters.upstream.sent_bytes, 16 * MIB as u64);
    assert!(counters.upstream.queued_bytes_max > 0);
    server.end().await;
}

#[tokio::test]
async fn no_byte_is_early() {
    let server = server().await;
    let toxics = [latency(Stream::Upstream, 3_000), latency(Stream::Downstream, 1_500)];
    let (mut client, mut upstream) = server.connection(&toxics).await;
    for _ in 0..20 {
        let sent_ns = now_ns();
        client.write_all(b"x").await.unwrap();
        assert_eq!(upstream.read_u8().await.unwrap(), b'x');
        let there_ns = now_ns();
        assert!(there_ns - sent_ns >= 3_000_000, "early: {} ns", there_ns - sent_ns);
        upstream.write_all(b"y").await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'y');
        assert!(now_ns() - there_ns >= 1_500_000, "early: {} ns", now_ns() - there_ns);
    }
    server.end().await;
}

#[tokio::test]
async fn changing_a_toxic_under_traffic_loses_and_reorders_nothing() {
    let server = server().await;
    let (client, upstream) = server.connection(&[latency(Stream::Upstream, 20_000)]).await;
    let changes = async {
        let api = &server.client;
        for us in [5_000, 500, 30_000, 0] {
            api.update_toxic("p", &latency(Stream::Upstream, us)).await.unwrap();
            let more = latency(Stream::Upstream, 2_500);
            let more = Toxic { name: "more".to_owned(), ..more };
            api.add_toxic("p", &more).await.unwrap();
            api.remove_toxic("p", "more").await.unwrap();
            api.remove_toxic("p", "latency_upstream").await.unwrap();
            api.add_toxic("p", &latency(Stream::Upstream, us)).await.unwrap();
        }
    };
    let (_, received, ()) =
        tokio::join!(send_pattern(client, 24 * MIB, 3_001), receive_pattern(upstream), changes);
    assert_eq!(received, 24 * MIB);
    server.end().await;
}

#[tokio::test]
async fn removal_does_not_flush() {
    let server = server().await;
    let (mut client, mut upstream) = server.connection(&[latency(Stream::Upstream, 300_000)]).await;
    let sent_ns = now_ns();
    client.write_all(b"slow").await.unwrap();
    while server.client.counters().await.unwrap()["p"].upstream.received_bytes < 4 {}
    server.client.remove_toxic("p", "latency_upstream").await.unwrap();
    client.write_all(b"fast").await.unwrap();
    let mut both = [0; 8];
    upstream.read_exact(&mut both).await.unwrap();
    assert_eq!(&both, b"slowfast");
    assert!(now_ns() - sent_ns >= 300_000_000);
    // Without the toxic bytes pass at once again: far less than its 300 ms.
    let sent_ns = now_ns();
    client.write_all(b"x").await.unwrap();
    upstream.read_u8().await.unwrap();
    assert!(now_ns() - sent_ns < 250_000_000);
    server.end().await;
}

#[tokio::test]
async fn a_full_queue_pushes_back() {
    let server = server().await;
    let (mut client, upstream) = server.connection(&[]).await;
    // Nobody reads at the far end: the sender must come to a halt.
    let block = vec![0; MIB];
    let mut written = 0;
    loop {
        let write = client.write(&block);
        match tokio::time::timeout(Duration::from_millis(500), write).await {
            Ok(result) => written += result.unwrap(),
            Err(_) => break,
        }
        assert!(written < 256 * MIB, "no back-pressure");
    }
    let counters = &server.client.counters().await.unwrap()["p"].upstream;
    assert!(counters.queued_bytes > 0);
    assert!(counters.queued_bytes_max <= MIB as u64, "{}", counters.queued_bytes_max);
    drop((client, upstream));
    server.end().await;
}

#[tokio::test]
async fn half_close_is_kept() {
    let server = server().await;
    let toxics = [latency(Stream::Upstream, 2_000), latency(Stream::Downstream, 2_000)];
    let (mut client, mut upstream) = server.connection(&toxics).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    upstream.read_to_string(&mut question).await.unwrap();
    upstream.write_all(b"answer").await.unwrap();
    upstream.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    server.end().await;
}

#[tokio::test]
async fn a_reset_is_passed_on_as_one() {
    let server = server().await;
    let (client, mut upstream) = server.connection(&[latency(Stream::Upstream, 1_000)]).await;
    client.set_zero_linger().unwrap();
    drop(client);
    let error = upstream.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    server.end().await;
}

/// The client has said all that it has to say.
async fn half_closed(server: &TestServer) -> (TcpStream, TcpStream) {
    let (mut client, mut upstream) = server.connection(&[]).await;
    client.shutdown().await.unwrap();
    assert_eq!(upstream.read(&mut [0]).await.unwrap(), 0);
    (client, upstream)
}

#[tokio::test]
async fn a_reset_reaches_a_connection_whose_direction_is_over() {
    let server = server().await;
    let (_client, mut upstream) = half_closed(&server).await;
    server.client.add_toxic("p", &Toxic::new(Stream::Upstream, Effect::Reset)).await.unwrap();
    // Its end was read; writing shows the reset.
    let error = loop {
        if let Err(error) = upstream.write_all(b"x").await {
            break error.kind();
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    server.end().await;
}

#[tokio::test]
async fn a_silent_direction_does_not_tell_one_who_has_half_closed() {
    let server = server().await;
    let (mut client, mut upstream) = half_closed(&server).await;
    server.client.add_toxic("p", &Toxic::new(Stream::Downstream, Effect::HalfOpen)).await.unwrap();
    upstream.write_all(b"x").await.unwrap();
    drop(upstream);
    // Silence is what is tested, and only time can show it.
    let silent = tokio::time::timeout(Duration::from_millis(300), client.read(&mut [0])).await;
    assert!(silent.is_err(), "{silent:?}");
    server.client.remove_toxic("p", "half_open_downstream").await.unwrap();
    let error = client.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it lost something");
    server.end().await;
}

/// Everything runs in this thread, so its processor time is the server's.
#[tokio::test]
async fn a_full_receiver_costs_no_processor_time() {
    let server = server().await;
    let (client, _upstream) = server.connection(&[]).await;
    let fill = async |client: &TcpStream| {
        let block = vec![0; MIB];
        // Full when it stays so for a while.
        while let Ok(ready) =
            tokio::time::timeout(Duration::from_millis(200), client.writable()).await
        {
            ready.unwrap();
            let _ = client.try_write(&block);
        }
    };
    fill(&client).await;
    let slicer = Slicer {
        average_size_bytes: 100,
        size_variation_bytes: 0,
        delay: Millis::from_micros(100),
    };
    for effect in [
        Effect::Slicer(slicer),
        Effect::Bandwidth(Bandwidth {
            rate: RateBytes::from_bytes_per_s(1_000_000),
            ..Bandwidth::default()
        }),
    ] {
        server.client.add_toxic("p", &Toxic::new(Stream::Upstream, effect)).await.unwrap();
    }
    fill(&client).await;
    let thread_ns = || {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        used.tv_sec * 1_000_000_000 + used.tv_nsec
    };
    let before_ns = thread_ns();
    let room = tokio::time::timeout(Duration::from_millis(300), client.writable()).await;
    assert!(room.is_err(), "nobody reads, so nothing moves");
    let used_ms = (thread_ns() - before_ns) / 1_000_000;
    assert!(used_ms < 100, "{used_ms} ms of 300 ms");
    server.end().await;
}

#[tokio::test]
async fn counters_are_the_bytes_sent() {
    let server = server().await;
    let (client, upstream) = server.connection(&[latency(Stream::Downstream, 500)]).await;
    let ((client_read, client_write), (upstream_read, upstream_write)) =
        (client.into_split(), upstream.into_split());
    tokio::join!(
        send_pattern(client_write, 3 * MIB + 1, 10_007),
        receive_pattern(upstream_read),
        send_pattern(upstream_write, MIB + 7, 777),
        receive_pattern(client_read),
    );
    let counters = &server.client.counters().await.unwrap()["p"];
    assert_eq!(counters.connections_opened, 1);
    for (stream, bytes) in [(&counters.upstream, 3 * MIB + 1), (&counters.downstream, MIB + 7)] {
        assert_eq!((stream.received_bytes, stream.sent_bytes), (bytes as u64, bytes as u64));
        assert_eq!(stream.queued_bytes, 0);
        assert!(stream.first_received_unix_us <= stream.first_sent_unix_us);
        assert!(stream.first_sent_unix_us <= stream.last_sent_unix_us);
        assert!(stream.first_received_unix_us > Some(1_600_000_000_000_000));
    }
    server.end().await;
}

#[tokio::test]
async fn disabling_refuses_new_connections_and_cuts_old_ones() {
    let server = server().await;
    let (mut client, _upstream) = server.connection(&[latency(Stream::Upstream, 500)]).await;
    let listen = server.client.get("p").await.unwrap().listen;
    let off = ProxyUpdate { enabled: Some(false), ..ProxyUpdate::default() };
    let disabled = server.client.update("p", &off).await.unwrap();
    assert_eq!(disabled.toxics.len(), 1, "toxics are kept");
    let refused = TcpStream::connect(&listen).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(matches!(
        client.read_u8().await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
    ));
    let on = ProxyUpdate { enabled: Some(true), ..ProxyUpdate::default() };
    assert_eq!(server.client.update("p", &on).await.unwrap().listen, listen);
    TcpStream::connect(&listen).await.unwrap();
    server.end().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_closes_the_connection() {
    let server = server().await;
    let (proxy, upstream) = server.proxy(&[]).await;
    drop(upstream);
    let mut client = TcpStream::connect(&proxy.listen).await.unwrap();
    assert!(client.read_u8().await.is_err());
    assert_eq!(server.client.counters().await.unwrap()["p"].dials_failed, 1);
    server.end().await;
}

/// A listener whose queue is full answers no SYN, as a host that is not there.
#[tokio::test]
async fn an_upstream_that_does_not_answer_holds_up_nobody() {
    let hole = tokio::net::TcpSocket::new_v4().unwrap();
    hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let hole = hole.listen(1).unwrap();
    let address = hole.local_addr().unwrap();
    let mut queued = Vec::new();
    // Silence is what makes it a hole, and only time can show it.
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queued.push(connected.unwrap());
    }
    let server = server().await;
    let proxy = server.client.create(&spec("p", &address)).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(TcpStream::connect(&proxy.listen).await.unwrap());
    }
    // All are being dialled at once: none waits for the one before it.
    while server.client.counters().await.unwrap()["p"].connections_open < 3 {}
    // And the API does not wait for any of them.
    tokio::time::timeout(Duration::from_secs(5), server.client.delete("p")).await.unwrap().unwrap();
    for mut client in clients {
        assert!(client.read_u8().await.is_err(), "cut with its proxy");
    }
    drop((hole, queued));
    server.end().await;
}

#[tokio::test]
async fn toxicity_zero_touches_no_connection() {
    let server = server().await;
    let toxic = Toxic { toxicity: 0.0, ..latency(Stream::Upstream, 10_000_000) };
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    client.write_all(b"x").await.unwrap();
    let arrived = tokio::time::timeout(Duration::from_secs(5), upstream.read_u8()).await;
    assert_eq!(arrived.expect("well before the 10 s of the toxic").unwrap(), b'x');
    server.end().await;
}

/// Shows the rate of one connection with `--nocapture`. What is asserted is only that a delay does not cut it down to a queue's worth of chunks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_is_measured() {
    let server = server().await;
    for us in [0, 500, 50_000] {
        let (client, mut upstream) = server.connection(&[latency(Stream::Upstream, us)]).await;
        let start_ns = now_ns();
        let send = tokio::spawn(async move {
            let (mut client, block) = (client, vec![7; MIB]);
            for _ in 0..512 {
                client.write_all(&block).await.unwrap();
            }
        });
        let (mut block, mut received) = (vec![0; MIB], 0);
        loop {
            match upstream.read(&mut block).await.unwrap() {
                0 => break,
                read => received += read,
            }
        }
        send.await.unwrap();
        assert_eq!(received, 512 * MIB);
        let took_ms = (now_ns() - start_ns) / 1_000_000;
        println!("{us} us one way: 512 MiB in {took_ms} ms");
        // At 50 ms, reads of 128 KiB one after another would take 200 s.
        assert!(took_ms < 30_000);
        server.client.delete("p").await.unwrap();
    }
    server.end().await;
}

/// Shows its figures with `--nocapture`. One byte at a time and one connection, so the error is the alarm's and the scheduler's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_of_a_delay_is_measured() {
    let server = server().await;
    for us in [0, 500, 5_000, 25_000] {
        let toxic = latency(Stream::Upstream, us);
        let (mut client, mut upstream) = server.connection(&[toxic]).await;
        let mut errors_ns = Vec::new();
        for _ in 0..200 {
            let sent_ns = now_ns();
            client.write_all(b"x").await.unwrap();
            upstream.read_u8().await.unwrap();
            let took_ns = now_ns() - sent_ns;
            assert!(took_ns >= us * 1_000);
            errors_ns.push(took_ns - us * 1_000);
        }
        errors_ns.sort_unstable();
        let at = |permille: usize| errors_ns[errors_ns.len() * permille / 1_000] / 1_000;
        println!("{us} us one way: error median {} us, p99 {} us", at(500), at(990));
        // A timer in whole milliseconds would be late by half of one on average;
        // the bound is for a machine that does other things too.
        assert!(at(500) < 5_000, "median {} us", at(500));
        server.client.delete("p").await.unwrap();
    }
    server.end().await;
}
