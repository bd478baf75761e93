use std::collections::BTreeSet;

use super::*;
use crate::telemetry::layers::Layer;
use crate::telemetry::names::span;

fn names(span: &Span) -> (String, BTreeSet<String>) {
    let metadata = span.metadata().expect("the subscriber takes every span");
    let fields = metadata.fields().iter().map(|field| field.name().to_owned()).collect();
    (metadata.name().to_owned(), fields)
}

#[test]
fn literals_are_the_published_names() {
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let root = Span::none();
        let layers =
            Layer::ALL.map(|layer| format!("{}{}_ns", attribute::LAYER_PREFIX, layer.name()));
        for (span, name) in [
            (pull("p", "f", "push"), span::TRANSFER_PULL),
            (call("p", "f", "push"), span::TRANSFER_CALL),
            (mount_read("p", "f"), span::MOUNT_READ),
        ] {
            let (got, fields) = names(&span);
            assert_eq!(got, name);
            let plain =
                [attribute::PEER, attribute::PATH, attribute::MODE, attribute::LENGTH_BYTES];
            let want = plain.map(str::to_owned).into_iter().chain(layers.clone()).collect();
            assert_eq!(fields, want);
        }
        let range = [attribute::OFFSET_BYTES, attribute::LENGTH_BYTES];
        for (span, name, extra) in [
            (serve(&root, "f", 0, 1), span::TRANSFER_SERVE, vec![attribute::PATH]),
            (fetch("p", "f", 0, 1), span::TRANSFER_FETCH, vec![attribute::PATH, attribute::PEER]),
            (disk_read(&root, 0, 1), span::DISK_READ, vec![]),
            (disk_write(&root, 0, 1), span::DISK_WRITE, vec![]),
        ] {
            let want = extra.into_iter().chain(range).map(str::to_owned).collect();
            assert_eq!(names(&span), (name.to_owned(), want));
        }
        assert_eq!(names(&session_connect("p")).0, span::SESSION_CONNECT);
        let epochs = [attribute::PEER, attribute::EPOCH_SENT, attribute::EPOCH_RECEIVED];
        let want = epochs.map(str::to_owned).into_iter().collect();
        assert_eq!(names(&rekey("p")), (span::SECURE_REKEY.to_owned(), want));
    });
}
