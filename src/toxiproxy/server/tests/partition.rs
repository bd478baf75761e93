//! Partitions, half-open connections and closing with stock toxics. Runs against
//! another server, too: see `testing::URL_VARIABLE`.

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::super::super::api::{Effect, ProxyUpdate, Stream, Toxic};
use super::super::super::testing::{
    End, TestServer, connect, millis, pattern, pattern_bytes, read_bytes, read_to_end, silence,
    spec,
};
use super::conformance::rate;

const MIB: usize = 1024 * 1024;

fn swallow(stream: Stream) -> Toxic {
    Toxic::new(stream, Effect::Timeout { timeout: millis(0) })
}

#[tokio::test]
async fn a_black_hole_and_then_a_new_connection() {
    let server = TestServer::conforming().await;
    let (proxy, listener) = server.proxy(&[]).await;
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    client.write_all(b"before").await.unwrap();
    assert_eq!(read_bytes(&mut upstream, 6).await, b"before");
    for stream in Stream::ALL {
        server.client.add_toxic("p", &swallow(stream)).await.unwrap();
    }
    client.write_all(b"lost").await.unwrap();
    upstream.write_all(b"lost").await.unwrap();
    tokio::join!(silence(&mut upstream, 400), silence(&mut client, 400));
    for toxic in ["timeout_upstream", "timeout_downstream"] {
        server.client.remove_toxic("p", toxic).await.unwrap();
    }
    assert_eq!(read_to_end(&mut client).await.0, b"");
    assert_eq!(read_to_end(&mut upstream).await.0, b"");
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    client.write_all(b"again").await.unwrap();
    assert_eq!(read_bytes(&mut upstream, 5).await, b"again");
    server.end().await;
}

#[tokio::test]
async fn a_black_hole_that_the_connection_survives() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&Stream::ALL.map(|s| rate(s, 0))).await;
    client.write_all(&pattern_bytes(1_000)).await.unwrap();
    upstream.write_all(&pattern_bytes(2_000)).await.unwrap();
    tokio::join!(silence(&mut upstream, 400), silence(&mut client, 400));
    server.client.update_toxic("p", &rate(Stream::Upstream, 1_000)).await.unwrap();
    assert_eq!(read_bytes(&mut upstream, 1_000).await, pattern_bytes(1_000));
    silence(&mut client, 200).await;
    server.client.remove_toxic("p", "bandwidth_downstream").await.unwrap();
    assert_eq!(read_bytes(&mut client, 2_000).await, pattern_bytes(2_000));
    server.end().await;
}

#[tokio::test]
async fn one_way_lost_and_the_other_goes_on() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&[swallow(Stream::Downstream)]).await;
    upstream.write_all(b"lost").await.unwrap();
    client.write_all(b"heard").await.unwrap();
    assert_eq!(read_bytes(&mut upstream, 5).await, b"heard");
    silence(&mut client, 400).await;
    client.write_all(b"still").await.unwrap();
    assert_eq!(read_bytes(&mut upstream, 5).await, b"still");
    server.end().await;
}

#[tokio::test]
async fn a_reset_in_the_midst_of_a_transfer() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&[]).await;
    let fire = async {
        assert_eq!(read_bytes(&mut upstream, MIB).await, pattern_bytes(MIB));
        let toxic = Toxic::new(Stream::Upstream, Effect::ResetPeer { timeout: millis(0) });
        server.client.add_toxic("p", &toxic).await.unwrap();
        let (rest, end) = read_to_end(&mut upstream).await;
        let expected = pattern_bytes(MIB + rest.len()).split_off(MIB);
        assert!(rest == expected, "what came before the reset is whole");
        end
    };
    let flood = async {
        // The pattern goes on until the connection is gone.
        let mut position = 0;
        loop {
            let block: Vec<u8> = (position..position + MIB).map(pattern).collect();
            match client.write(&block).await {
                Ok(written) => position += written,
                Err(error) => return error.kind(),
            }
        }
    };
    let (end, sender) = tokio::join!(fire, flood);
    let gone = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(gone.contains(&sender), "{sender:?}");
    // The stock server resets only connections that were opened under the toxic.
    if server.is_bundled {
        assert_eq!(end, End::Reset);
    }
    server.end().await;
}

#[tokio::test]
async fn a_cut_after_bytes_and_a_resumption() {
    let server = TestServer::conforming().await;
    let limit = Toxic::new(Stream::Downstream, Effect::LimitData { bytes: 300_000 });
    let (proxy, listener) = server.proxy(&[limit]).await;
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    let (first, _) = tokio::join!(read_to_end(&mut client), async {
        // Cut off in the middle, where the write may fail.
        let _ = upstream.write_all(&pattern_bytes(500_000)).await;
    });
    assert_eq!(first.0, pattern_bytes(300_000));
    server.client.remove_toxic("p", "limit_data_downstream").await.unwrap();
    let (mut client, mut upstream) = connect(&proxy, &listener).await;
    let rest = pattern_bytes(500_000).split_off(300_000);
    upstream.write_all(&rest).await.unwrap();
    assert_eq!(read_bytes(&mut client, rest.len()).await, rest);
    server.end().await;
}

#[tokio::test]
async fn half_close_is_kept() {
    let server = TestServer::conforming().await;
    let (mut client, mut upstream) = server.connection(&[]).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut upstream).await, (b"question".to_vec(), End::Closed));
    // The stock server closes both ways here.
    if server.is_bundled {
        upstream.write_all(b"answer").await.unwrap();
        upstream.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut client).await, (b"answer".to_vec(), End::Closed));
    }
    server.end().await;
}

#[tokio::test]
async fn a_connection_to_nobody_is_made_and_then_closed() {
    let server = TestServer::conforming().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let proxy = server.client.create(&spec("p", &address)).await.unwrap();
    let mut client = TcpStream::connect(&proxy.listen).await.unwrap();
    assert_eq!(read_to_end(&mut client).await.0, b"");
    server.end().await;
}

#[tokio::test]
async fn a_new_upstream_or_address_cuts_and_keeps_the_toxics() {
    let server = TestServer::conforming().await;
    let (proxy, listener) = server.proxy(&[swallow(Stream::Upstream)]).await;
    let (mut client, _upstream) = connect(&proxy, &listener).await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = Some(other.local_addr().unwrap().to_string());
    let update = ProxyUpdate { upstream, ..ProxyUpdate::default() };
    let moved = server.client.update("p", &update).await.unwrap();
    assert_eq!((moved.toxics.len(), &moved.listen), (1, &proxy.listen));
    assert_eq!(read_to_end(&mut client).await.0, b"");
    server.client.remove_toxic("p", "timeout_upstream").await.unwrap();
    let (mut client, mut upstream) = connect(&moved, &other).await;
    client.write_all(b"there").await.unwrap();
    assert_eq!(read_bytes(&mut upstream, 5).await, b"there");
    server.end().await;
}
