use tokio::net::TcpListener;

use super::*;
use crate::testbed::live::tests::live;
use crate::toxiproxy::api::{Effect, Millis, ProxySpec, RateBytes, Stream};
use crate::toxiproxy::server::{Options, serve};

/// The second of two toxics cannot be added: the first is told, and noted in the
/// run's history, beside the error.
#[tokio::test]
async fn what_was_done_before_an_error_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, Options::default(), std::future::pending()));
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("events.ndjson");
    let _events = Events::create(&history).unwrap();
    let client = Client::new(&api).unwrap();
    let found = Found { directory: directory.path().to_owned(), live: live() };
    let site = Site { found: Some(found), api, client };

    let spec = ProxySpec {
        name: "a:b".to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: "127.0.0.1:9".to_owned(),
        enabled: None,
    };
    // A toxic of another type that has the name of a delay.
    let bandwidth = Effect::Bandwidth(crate::toxiproxy::api::Bandwidth {
        rate: RateBytes::from_bytes_per_s(1_000),
        ..Default::default()
    });
    let in_the_way = Toxic {
        name: "latency_downstream".to_owned(),
        ..Toxic::new(Stream::Downstream, bandwidth)
    };
    site.client.create_shaped(&spec, std::slice::from_ref(&in_the_way)).await.unwrap();

    let change = Change { latency_us: Some(10_000), ..Change::default() };
    let mut done = Vec::new();
    let error = site.act("a:b", &Action::Shape(change), &mut done).await.unwrap_err();
    assert!(error.to_string().contains("latency_downstream"), "{error}");
    let added = Toxic::latency(Stream::Upstream, Millis::from_micros(9_500));
    assert_eq!(done, [told("a:b", "added", &added)]);
    assert_eq!(site.client.toxics("a:b").await.unwrap(), [in_the_way, added]);
    let history = std::fs::read_to_string(history).unwrap();
    assert!(history.contains("link_set") && history.contains("latency_upstream"), "{history}");
}
