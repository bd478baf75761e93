//! What each stock toxic does, seen from outside. Runs against another server, too:
//! see `testing::URL_VARIABLE`. Where the stock server is known to differ, a case
//! says what it takes from which.
//!
//! Lower bounds of times are exact; upper ones are those of a busy machine.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::super::super::api::{
    Bandwidth, Effect, Latency, ProxyUpdate, RateBytes, RateScope, Slicer, Stream, Toxic,
};
use super::super::super::testing::{
    End, TestServer, connect, millis, ms, pattern_bytes, read_bytes, read_to_end, silence,
};
use Stream::{Downstream, Upstream};

/// A machine that does other things adds this much at most.
const LATE: Duration = ms(2_000);

fn latency(stream: Stream, of_ms: u64) -> Toxic {
    Toxic::latency(stream, millis(of_ms))
}

/// As the stock server has it: for each connection.
pub(super) fn rate(stream: Stream, kb_per_s: u64) -> Toxic {
    let rate = RateBytes::from_bytes_per_s(kb_per_s * 1_000);
    let effect = Bandwidth { rate, scope: RateScope::Connection, bucket: None };
    Toxic::new(stream, Effect::Bandwidth(effect))
}

/// How long `bytes` take from one end to the other.
async fn way(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) -> Duration {
    let started = Instant::now();
    let (sent, came) = tokio::join!(from.write_all(bytes), read_bytes(to, bytes.len()));
    sent.unwrap();
    assert_eq!(came, bytes);
    started.elapsed()
}

fn assert_took(took: Duration, least_ms: u64) {
    assert!((ms(least_ms)..ms(least_ms) + LATE).contains(&took), "{took:?}, not {least_ms} ms");
}

#[tokio::test]
async fn latency_delays_its_stream_only() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&[latency(Upstream, 3_000)]).await;
    assert_took(way(&mut client, &mut upstream, b"there").await, 3_000);
    assert!(way(&mut upstream, &mut client, b"back").await < LATE);
    server.end().await;
}

#[tokio::test]
async fn both_streams_have_their_own_toxics() {
    let server = TestServer::conforming().await;
    let toxics = [latency(Upstream, 150), latency(Downstream, 80)];
    let (mut client, mut upstream) = server.connection(&toxics).await;
    assert_took(way(&mut client, &mut upstream, b"there").await, 150);
    assert_took(way(&mut upstream, &mut client, b"back").await, 80);
    server.end().await;
}

#[tokio::test]
async fn jitter_stays_within_its_bounds_and_varies() {
    let server = TestServer::conforming().await;
    let effect = Effect::Latency(Latency { latency: millis(40), jitter: millis(30) });
    let (mut client, mut upstream) = server.connection(&[Toxic::new(Upstream, effect)]).await;
    let mut ways = Vec::new();
    for _ in 0..20 {
        let took = way(&mut client, &mut upstream, b"x").await;
        assert_took(took, 10);
        ways.push(took);
    }
    let spread = *ways.iter().max().unwrap() - *ways.iter().min().unwrap();
    // 20 uniform draws from 60 ms lie within 10 ms once in 10^14 times.
    assert!(spread > ms(10), "{ways:?}");
    server.end().await;
}

#[tokio::test]
async fn toxics_are_added_updated_and_removed_on_live_connections() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&[]).await;
    assert!(way(&mut client, &mut upstream, b"x").await < LATE);
    server.client.add_toxic("p", &latency(Upstream, 2_500)).await.unwrap();
    assert_took(way(&mut client, &mut upstream, b"x").await, 2_500);
    server.client.update_toxic("p", &latency(Upstream, 100)).await.unwrap();
    let took = way(&mut client, &mut upstream, b"x").await;
    assert!((ms(100)..ms(2_400)).contains(&took), "{took:?}");
    server.client.update_toxic("p", &latency(Upstream, 2_500)).await.unwrap();
    server.client.remove_toxic("p", "latency_upstream").await.unwrap();
    assert!(way(&mut client, &mut upstream, b"x").await < ms(2_400));
    server.end().await;
}

#[tokio::test]
async fn bandwidth_sets_the_rate() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&[rate(Upstream, 100)]).await;
    let bytes = pattern_bytes(60_000);
    // 600 ms, less the 20 ms that may be caught up after a late timer.
    assert_took(way(&mut client, &mut upstream, &bytes).await, 580);
    assert!(way(&mut upstream, &mut client, &bytes).await < ms(580), "the other stream is free");
    server.client.update_toxic("p", &rate(Upstream, 10_000)).await.unwrap();
    let took = way(&mut client, &mut upstream, &bytes).await;
    assert!(took < ms(580), "6 ms at the new rate, took {took:?}");
    server.end().await;
}

#[tokio::test]
async fn slow_close_delays_the_close_only() {
    let server = TestServer::conforming().await;
    let toxic = Toxic::new(Upstream, Effect::SlowClose { delay: millis(2_500) });
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    assert!(way(&mut client, &mut upstream, b"data").await < LATE);
    let started = Instant::now();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut upstream).await, (vec![], End::Closed));
    assert_took(started.elapsed(), 2_500);
    server.end().await;
}

#[tokio::test]
async fn timeout_swallows_data_and_then_closes() {
    let server = TestServer::conforming().await;
    let toxic = Toxic::new(Upstream, Effect::Timeout { timeout: millis(400) });
    let (proxy, listener) = server.proxy(&[toxic]).await;
    // The toxic meets the connection no earlier than the client connects.
    let started = Instant::now();
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    client.write_all(b"lost").await.unwrap();
    let ((sent, upstream_end), (_, client_end)) =
        tokio::join!(read_to_end(&mut upstream), read_to_end(&mut client));
    assert_took(started.elapsed(), 400);
    assert_eq!(sent, b"");
    // The stock server may have read data open when it closes: that is a reset.
    if server.is_bundled {
        assert_eq!([upstream_end, client_end], [End::Closed; 2]);
    }
    server.end().await;
}

#[tokio::test]
async fn timeout_zero_closes_when_it_is_removed() {
    let server = TestServer::conforming().await;
    let toxic = Toxic::new(Upstream, Effect::Timeout { timeout: millis(0) });
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    client.write_all(b"lost").await.unwrap();
    silence(&mut upstream, 400).await;
    assert!(way(&mut upstream, &mut client, b"back").await < LATE, "the other stream is free");
    server.client.remove_toxic("p", "timeout_upstream").await.unwrap();
    let (sent, _) = read_to_end(&mut upstream).await;
    assert_eq!(sent, b"");
    assert_eq!(read_to_end(&mut client).await.0, b"");
    server.end().await;
}

#[tokio::test]
async fn reset_peer_waits_for_data_and_resets() {
    let server = TestServer::conforming().await;
    let toxic = Toxic::new(Upstream, Effect::ResetPeer { timeout: millis(300) });
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    silence(&mut client, 500).await;
    let started = Instant::now();
    client.write_all(b"trigger").await.unwrap();
    let (client_end, (sent, upstream_end)) =
        tokio::join!(read_to_end(&mut client), read_to_end(&mut upstream));
    assert_took(started.elapsed(), 300);
    assert_eq!(sent, b"");
    assert_eq!(client_end, (vec![], End::Reset));
    if server.is_bundled {
        assert_eq!(upstream_end, End::Reset);
    }
    server.end().await;
}

#[tokio::test]
async fn slicer_cuts_and_pauses() {
    let server = TestServer::conforming().await;
    let slicer = Slicer { average_size_bytes: 10, size_variation_bytes: 0, delay: millis(50) };
    let toxic = Toxic::new(Upstream, Effect::Slicer(slicer));
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    let started = Instant::now();
    client.write_all(&pattern_bytes(60)).await.unwrap();
    let mut block = [0; 60];
    let first = upstream.read(&mut block).await.unwrap();
    assert!(first < 60, "all in one piece");
    let rest = read_bytes(&mut upstream, 60 - first).await;
    // Six pieces, so five pauses.
    assert_took(started.elapsed(), 250);
    assert_eq!([&block[..first], &rest[..]].concat(), pattern_bytes(60));
    server.end().await;
}

#[tokio::test]
async fn limit_data_closes_after_so_many_bytes_of_each_connection() {
    let server = TestServer::conforming().await;
    let toxic = Toxic::new(Upstream, Effect::LimitData { bytes: 100 });
    let (proxy, listener) = server.proxy(&[toxic]).await;
    for _ in 0..2 {
        let (mut client, mut upstream) = connect(&proxy, &listener).await;
        client.write_all(&pattern_bytes(60)).await.unwrap();
        assert_eq!(read_bytes(&mut upstream, 60).await, pattern_bytes(60));
        assert!(way(&mut upstream, &mut client, &pattern_bytes(500)).await < LATE);
        client.write_all(&pattern_bytes(40)).await.unwrap();
        let (came, end) = read_to_end(&mut upstream).await;
        assert_eq!(came, pattern_bytes(40));
        let client_end = read_to_end(&mut client).await.1;
        if server.is_bundled {
            assert_eq!([end, client_end], [End::Closed; 2]);
        }
    }
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    client.write_all(&pattern_bytes(250)).await.unwrap();
    assert_eq!(read_to_end(&mut upstream).await.0, pattern_bytes(100));
    server.end().await;
}

#[tokio::test]
async fn disabling_refuses_cuts_and_keeps_the_toxics() {
    let server = TestServer::conforming().await;
    let (proxy, listener) = server.proxy(&[latency(Upstream, 1)]).await;
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    assert!(way(&mut client, &mut upstream, b"x").await < LATE);
    let enable = |is_on| ProxyUpdate { enabled: Some(is_on), ..ProxyUpdate::default() };
    let disabled = server.client.update("p", &enable(false)).await.unwrap();
    assert_eq!(disabled.toxics, [latency(Upstream, 1)]);
    for socket in [&mut client, &mut upstream] {
        let (came, end) = read_to_end(socket).await;
        assert_eq!(came, b"");
        assert!(!server.is_bundled || end == End::Closed, "{end:?}");
    }
    let refused = TcpStream::connect(&proxy.listen).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(server.client.update("p", &enable(true)).await.unwrap(), proxy);
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    assert!(way(&mut client, &mut upstream, b"x").await < LATE);
    server.end().await;
}

#[tokio::test]
async fn toxicity_is_all_or_nothing_at_its_ends() {
    let server = TestServer::conforming().await;
    let never = Toxic { toxicity: 0.0, name: "never".to_owned(), ..latency(Upstream, 60_000) };
    let always = Toxic { toxicity: 1.0, ..latency(Upstream, 300) };
    let (proxy, listener) = server.proxy(&[never, always]).await;
    for _ in 0..4 {
        let (mut client, mut upstream) = connect(&proxy, &listener).await;
        assert_took(way(&mut client, &mut upstream, b"x").await, 300);
    }
    server.end().await;
}

#[tokio::test]
async fn reset_enables_all_and_removes_all_toxics() {
    let server = TestServer::conforming().await;
    let (proxy, listener) = server.proxy(&[latency(Upstream, 60_000)]).await;
    let disable = ProxyUpdate { enabled: Some(false), ..ProxyUpdate::default() };
    server.client.update("p", &disable).await.unwrap();
    server.client.reset().await.unwrap();
    let after = server.client.get("p").await.unwrap();
    assert!(after.enabled && after.toxics.is_empty() && after.listen == proxy.listen, "{after:?}");
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    assert!(way(&mut client, &mut upstream, b"x").await < LATE);
    server.end().await;
}
