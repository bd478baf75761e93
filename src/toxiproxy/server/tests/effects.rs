//! What each toxic of this server's own does, seen from outside.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::super::super::api::{Bandwidth, Corrupt, Effect, RateBytes, RateScope, Stream, Toxic};
use super::super::super::testing::{
    End, TestServer, connect, latency, millis, ms, pattern_bytes, read_bytes, read_to_end,
    receive_pattern, send_pattern, silence, spec,
};
use super::super::Options;
use Stream::{Downstream, Upstream};

const MIB: usize = 1024 * 1024;

async fn server() -> TestServer {
    TestServer::start(Options { seed: 1, ..Options::default() }).await
}

/// Resolves when the proxy has read so many bytes of clients.
async fn until_received(server: &TestServer, bytes: u64) {
    let received = async {
        while server.client.counters().await.unwrap()["p"].upstream.received_bytes < bytes {}
    };
    timeout(ms(20_000), received).await.expect("the proxy does not read");
}

async fn assert_carries(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"carried").await.unwrap();
    assert_eq!(read_bytes(to, 7).await, b"carried");
}

#[tokio::test]
async fn reset_cuts_live_connections_and_new_ones() {
    let server = server().await;
    let (proxy, listener) = server.proxy(&[]).await;
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    assert_carries(&mut client, &mut upstream).await;
    server.client.add_toxic("p", &Toxic::new(Upstream, Effect::Reset)).await.unwrap();
    assert_eq!(read_to_end(&mut client).await, (vec![], End::Reset));
    assert_eq!(read_to_end(&mut upstream).await, (vec![], End::Reset));
    // The reset may come before connect has returned.
    match TcpStream::connect(&proxy.listen).await {
        Ok(mut client) => assert_eq!(read_to_end(&mut client).await, (vec![], End::Reset)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    server.client.remove_toxic("p", "reset_upstream").await.unwrap();
    let fresh = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = spec("q", &fresh.local_addr().unwrap());
    let other = server.client.create(&other).await.unwrap();
    let (mut client, mut upstream) = connect(&other, &fresh).await;
    assert_carries(&mut client, &mut upstream).await;
    server.end().await;
}

#[tokio::test]
async fn a_reset_is_seen_as_one_while_data_flows() {
    let server = server().await;
    let (mut client, mut upstream) = server.connection(&[]).await;
    let fire = async {
        read_bytes(&mut upstream, MIB).await;
        server.client.add_toxic("p", &Toxic::new(Downstream, Effect::Reset)).await.unwrap();
        read_to_end(&mut upstream).await.1
    };
    let flood = async {
        let block = vec![0; MIB];
        loop {
            if let Err(error) = client.write_all(&block).await {
                return error.kind();
            }
        }
    };
    let (end, sender) = tokio::join!(fire, flood);
    assert_eq!(end, End::Reset);
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&sender), "{sender:?}");
    server.end().await;
}

#[tokio::test]
async fn half_open_is_silent_one_way_and_carries_the_other() {
    let server = server().await;
    let toxic = Toxic::new(Upstream, Effect::HalfOpen);
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    client.write_all(b"vanishes").await.unwrap();
    silence(&mut upstream, 300).await;
    assert_carries(&mut upstream, &mut client).await;
    // The client closes; the server is not told.
    client.shutdown().await.unwrap();
    silence(&mut upstream, 300).await;
    assert_carries(&mut upstream, &mut client).await;
    server.end().await;
}

#[tokio::test]
async fn half_open_hides_a_death() {
    let server = server().await;
    let toxic = Toxic::new(Downstream, Effect::HalfOpen);
    let (mut client, mut upstream) = server.connection(&[toxic]).await;
    assert_carries(&mut client, &mut upstream).await;
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    silence(&mut client, 300).await;
    // Still nobody tells the client, also when it speaks.
    client.write_all(b"hello?").await.unwrap();
    silence(&mut client, 300).await;
    server.end().await;
}

#[tokio::test]
async fn stall_holds_and_then_delivers_all_in_order() {
    let server = server().await;
    let (mut client, mut upstream) = server.connection(&[latency(Upstream, 400_000)]).await;
    client.write_all(&pattern_bytes(500)).await.unwrap();
    until_received(&server, 500).await;
    server.client.add_toxic("p", &Toxic::new(Upstream, Effect::Stall)).await.unwrap();
    // What is under way arrives.
    assert_eq!(read_bytes(&mut upstream, 500).await, pattern_bytes(500));
    let (client_read, client_write) = client.into_split();
    let (upstream_read, _upstream_write) = upstream.into_split();
    let mut upstream = upstream_read;
    let held = async {
        let mut byte = [0];
        let came = timeout(ms(600), upstream.read(&mut byte)).await;
        assert!(came.is_err(), "{came:?}");
        let received = server.client.counters().await.unwrap()["p"].upstream.received_bytes;
        assert_eq!(received, 500, "nothing enters the link");
        server.client.remove_toxic("p", "stall_upstream").await.unwrap();
        receive_pattern(upstream).await
    };
    let ((), received) = tokio::join!(send_pattern(client_write, 8 * MIB, 65_537), held);
    assert_eq!(received, 8 * MIB);
    drop(client_read);
    server.end().await;
}

#[tokio::test]
async fn blackhole_takes_both_ways_and_its_removal_resets_who_lost() {
    let server = server().await;
    let (proxy, listener) = server.proxy(&[]).await;
    let (mut loser, mut loser_upstream) = connect(&proxy, &listener).await;
    let (mut idle, mut idle_upstream) = connect(&proxy, &listener).await;
    assert_carries(&mut loser, &mut loser_upstream).await;
    assert_carries(&mut idle, &mut idle_upstream).await;
    server.client.add_toxic("p", &Toxic::new(Upstream, Effect::Blackhole)).await.unwrap();
    loser.write_all(b"lost").await.unwrap();
    loser_upstream.write_all(b"lost").await.unwrap();
    loser.shutdown().await.unwrap();
    tokio::join!(
        silence(&mut loser, 400),
        silence(&mut loser_upstream, 400),
        silence(&mut idle, 400)
    );
    server.client.remove_toxic("p", "blackhole_upstream").await.unwrap();
    assert_eq!(read_to_end(&mut loser).await, (vec![], End::Reset));
    assert_eq!(read_to_end(&mut loser_upstream).await, (vec![], End::Reset));
    assert_carries(&mut idle, &mut idle_upstream).await;
    assert_carries(&mut idle_upstream, &mut idle).await;
    server.end().await;
}

#[tokio::test]
async fn cut_after_resets_at_that_byte() {
    let server = server().await;
    let toxic = Toxic::new(Upstream, Effect::CutAfter { bytes: 1_000 });
    let (proxy, listener) = server.proxy(&[toxic]).await;
    for _ in 0..2 {
        let (mut client, mut upstream) = connect(&proxy, &listener).await;
        client.write_all(&pattern_bytes(999)).await.unwrap();
        assert_eq!(read_bytes(&mut upstream, 999).await, pattern_bytes(999));
        assert_carries(&mut upstream, &mut client).await;
        client.write_all(b"last").await.unwrap();
        let (came, end) = read_to_end(&mut upstream).await;
        // A reset may overtake the byte that it follows.
        assert!(came.is_empty() || came == b"l", "{came:?}");
        assert_eq!(end, End::Reset);
        assert_eq!(read_to_end(&mut client).await, (vec![], End::Reset));
    }
    server.end().await;
}

#[tokio::test]
async fn slow_connect_dials_later() {
    let server = server().await;
    let toxic = Toxic::new(Upstream, Effect::SlowConnect { delay: millis(2_500) });
    let (proxy, listener) = server.proxy(&[toxic]).await;
    let started = Instant::now();
    let mut client = TcpStream::connect(&proxy.listen).await.unwrap();
    assert!(started.elapsed() < ms(2_000), "the client waits for the dial");
    client.write_all(b"early").await.unwrap();
    let (mut upstream, _) = timeout(ms(20_000), listener.accept()).await.unwrap().unwrap();
    assert!(started.elapsed() >= ms(2_500), "dialled after {:?}", started.elapsed());
    assert_eq!(read_bytes(&mut upstream, 5).await, b"early");
    server.end().await;
}

#[tokio::test]
async fn corrupt_flips_that_bit_of_each_connection_once() {
    let server = server().await;
    let toxic = Toxic::new(Downstream, Effect::Corrupt(Corrupt { byte: 5_000, bit: 6 }));
    let (proxy, listener) = server.proxy(&[toxic]).await;
    let mut expected = pattern_bytes(20_000);
    expected[5_000] ^= 1 << 6;
    for _ in 0..2 {
        let (mut client, mut upstream) = connect(&proxy, &listener).await;
        assert_carries(&mut client, &mut upstream).await;
        upstream.write_all(&pattern_bytes(20_000)).await.unwrap();
        assert_eq!(read_bytes(&mut client, 20_000).await, expected);
        upstream.write_all(&pattern_bytes(20_000)).await.unwrap();
        assert_eq!(read_bytes(&mut client, 20_000).await, pattern_bytes(20_000));
    }
    server.end().await;
}

/// Sends `bytes` over each connection at the same time.
async fn all_take(pairs: &mut [(TcpStream, TcpStream)], bytes: usize) -> Duration {
    let started = Instant::now();
    let transfers = pairs.iter_mut().map(|(client, upstream)| async move {
        let data = pattern_bytes(bytes);
        let (sent, came) = tokio::join!(client.write_all(&data), read_bytes(upstream, bytes));
        sent.unwrap();
        assert_eq!(came, data);
    });
    futures::future::join_all(transfers).await;
    started.elapsed()
}

/// Lower bounds leave out the 20 ms that may be caught up after a late timer.
#[tokio::test]
async fn a_rate_is_shared_by_all_connections_or_by_none() {
    let server = server().await;
    let shared = Toxic::bandwidth(Upstream, RateBytes::from_bytes_per_s(100_000));
    let (proxy, listener) = server.proxy(std::slice::from_ref(&shared)).await;
    let mut pairs = Vec::new();
    for _ in 0..4 {
        pairs.push(connect(&proxy, &listener).await);
    }
    let took = all_take(&mut pairs, 20_000).await;
    assert!((ms(780)..ms(4_000)).contains(&took), "80 KB in all took {took:?}");
    let rate = RateBytes::from_bytes_per_s(20_000);
    let each = Bandwidth { rate, scope: RateScope::Connection, bucket: None };
    let each = Toxic { effect: Effect::Bandwidth(each), ..shared };
    server.client.update_toxic("p", &each).await.unwrap();
    let took = all_take(&mut pairs, 20_000).await;
    // Shared it would be 4 s.
    assert!((ms(980)..ms(3_500)).contains(&took), "20 KB each took {took:?}");
    server.end().await;
}

#[tokio::test]
async fn proxies_that_name_a_bucket_share_its_rate() {
    let server = server().await;
    let rate = RateBytes::from_bytes_per_s(100_000);
    let bucket = Some("access link".to_owned());
    let toxic = Bandwidth { rate, scope: RateScope::Link, bucket };
    let toxic = Toxic::new(Upstream, Effect::Bandwidth(toxic));
    let mut pairs = Vec::new();
    for name in ["a", "b"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let spec = spec(name, &listener.local_addr().unwrap());
        let proxy = server.client.create_shaped(&spec, std::slice::from_ref(&toxic)).await.unwrap();
        pairs.push(connect(&proxy, &listener).await);
    }
    let took = all_take(&mut pairs, 40_000).await;
    assert!((ms(780)..ms(4_000)).contains(&took), "80 KB in all took {took:?}");
    server.end().await;
}

#[tokio::test]
async fn a_rate_adds_to_a_delay_in_either_order() {
    let server = server().await;
    let rate = Toxic::bandwidth(Upstream, RateBytes::from_bytes_per_s(100_000));
    let delay = latency(Upstream, 400_000);
    for toxics in [[rate.clone(), delay.clone()], [delay, rate]] {
        let mut pair = [server.connection(&toxics).await];
        let took = all_take(&mut pair, 40_000).await;
        assert!((ms(780)..ms(4_000)).contains(&took), "{took:?}");
        server.client.delete("p").await.unwrap();
    }
    server.end().await;
}
