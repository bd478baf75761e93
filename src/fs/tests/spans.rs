//! The span of a read, as a subscriber sees it.

use tracing::span::Attributes as SpanAttributes;
use tracing::{Id, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::*;
use crate::telemetry::names::{attribute, span};

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<SeenSpan>>>);

#[derive(Clone)]
struct SeenSpan {
    name: String,
    parent: Option<String>,
    fields: Vec<String>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Seen {
    fn on_new_span(&self, attributes: &SpanAttributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).unwrap().parent().map(|parent| parent.name().to_owned());
        let fields = attributes.metadata().fields().iter().map(|field| field.name().to_owned());
        let name = attributes.metadata().name().to_owned();
        let fields = fields.collect();
        self.0.lock().unwrap().push(SeenSpan { name, parent, fields });
    }
}

#[tokio::test]
async fn a_read_is_a_span_below_its_reader() {
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(seen.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let tree = Tree::new();
    tree.anna.put_file("a", "text");
    let reader = tracing::info_span!("reader");
    let number = tree.walk("anna/a").await.unwrap().number;
    let followed = tree.fs.open(number, Access::Read, reader).await.unwrap();
    let alone = tree.fs.open(number, Access::Read, Span::none()).await.unwrap();
    for handle in [followed, alone] {
        tree.fs.read(handle, 0, 4).await.unwrap();
    }
    let seen = seen.0.lock().unwrap();
    let reads: Vec<_> = seen.iter().filter(|seen| seen.name == span::FUSE_READ).collect();
    let parents: Vec<_> = reads.iter().map(|read| read.parent.as_deref()).collect();
    assert_eq!(parents, [Some("reader"), None]);
    assert_eq!(
        reads[0].fields,
        [attribute::PEER, attribute::PATH, attribute::OFFSET_BYTES, attribute::LENGTH_BYTES]
    );
}
