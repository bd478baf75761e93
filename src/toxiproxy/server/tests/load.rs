//! Many proxies, and changes while bytes flow.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::super::super::api::{ProxySpec, Stream};
use super::super::super::testing::{TestServer, latency, receive_pattern, send_pattern, spec};
use super::super::Options;

const MIB: usize = 1024 * 1024;

fn many(count: usize) -> Vec<ProxySpec> {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    (0..count).map(|i| spec(&format!("proxy {i:04}"), &nowhere)).collect()
}

/// An API call for each of 1000 proxies takes well under a millisecond; the bound is
/// for a machine that does other things too.
const THOUSAND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_thousand_proxies_come_and_go() {
    let server = TestServer::start(Options::default()).await;
    let started = Instant::now();
    let specs = many(1_000);
    for spec in &specs {
        server.client.create(spec).await.unwrap();
    }
    let proxies = server.client.proxies().await.unwrap();
    assert!(proxies.values().all(|proxy| proxy.enabled));
    assert!(proxies.keys().eq(specs.iter().map(|spec| &spec.name)));
    let last = &proxies["proxy 0999"].listen;
    TcpStream::connect(last).await.unwrap();
    for spec in &specs {
        server.client.delete(&spec.name).await.unwrap();
    }
    assert!(server.client.proxies().await.unwrap().is_empty());
    TcpStream::connect(last).await.unwrap_err();
    assert!(started.elapsed() < THOUSAND, "{:?}", started.elapsed());
    assert_eq!(server.client.populate(&specs).await.unwrap().len(), 1_000);
    server.end().await;
}

#[tokio::test]
async fn a_proxy_is_deleted_under_load() {
    let server = TestServer::start(Options::default()).await;
    for round in 0..5 {
        let toxic = latency(Stream::Upstream, 1_000 * round);
        let (mut client, mut upstream) = server.connection(&[toxic]).await;
        let flood = tokio::spawn(async move {
            let block = vec![0; MIB];
            while client.write_all(&block).await.is_ok() {}
        });
        let mut block = vec![0; MIB];
        upstream.read_exact(&mut block).await.unwrap();
        let started = Instant::now();
        server.client.delete("p").await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert_eq!(server.client.get("p").await.unwrap_err().status(), Some(404));
        while !matches!(upstream.read(&mut block).await, Ok(0) | Err(_)) {}
        flood.await.unwrap();
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_updates_loses_no_byte_and_ends_with_the_last() {
    let server = TestServer::start(Options::default()).await;
    let (client, upstream) = server.connection(&[latency(Stream::Upstream, 500)]).await;
    let storm = |offset: u64| {
        let api = server.client.clone();
        async move {
            for i in 0..300 {
                let us = 100 * ((i + offset) % 20);
                api.update_toxic("p", &latency(Stream::Upstream, us)).await.unwrap();
            }
        }
    };
    let (storms, (), received) = tokio::join!(
        futures::future::join_all((0..4).map(storm)),
        send_pattern(client, 16 * MIB, 4_099),
        receive_pattern(upstream),
    );
    assert_eq!((storms.len(), received), (4, 16 * MIB));
    let last = latency(Stream::Upstream, 7_000);
    server.client.update_toxic("p", &last).await.unwrap();
    assert_eq!(server.client.toxics("p").await.unwrap(), [last]);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_the_same_time_are_each_done_once() {
    let server = TestServer::start(Options::default()).await;
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let contest = (0..16).map(|_| {
        let (api, spec) = (server.client.clone(), spec("one", &nowhere));
        async move { api.create(&spec).await.map_err(|error| error.status()) }
    });
    let results = futures::future::join_all(contest).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.into_iter().all(|r| r.map_or_else(|status| status == Some(409), |_| true)));
    let removals = (0..16).map(|_| server.client.delete("one"));
    let removed = futures::future::join_all(removals).await;
    assert_eq!(removed.iter().filter(|result| result.is_ok()).count(), 1);
    server.end().await;
}
