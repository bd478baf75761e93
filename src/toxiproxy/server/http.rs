//! The HTTP API: paths, bodies and statuses. Decides nothing else.

use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::api::{
    COUNTERS_PATH, Populated, ProxySpec, ProxyUpdate, ToxicDraft, ToxicUpdate, VERSION, VersionBody,
};
use super::metrics::{self, MetricsOptions};
use super::proxy::ProxyEntry;
use super::refusal::Refusal;
use super::registry::{Desk, Registry};

/// Longest request body: thousands of proxies in one populate.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A call is answered within this, with 503 if need be; the stock server's value.
const HANDLER_DEADLINE: Duration = Duration::from_secs(25);

type Answer = Result<Response, Refusal>;

/// All routes.
pub(super) fn router(desk: Desk, metrics: MetricsOptions) -> Router {
    let mut router = Router::new()
        .route("/version", get(version))
        .route("/proxies", get(proxies).post(create))
        .route("/populate", post(populate))
        .route("/reset", post(reset))
        .route("/proxies/{proxy}", get(show).post(update).patch(update).delete(delete))
        .route("/proxies/{proxy}/toxics", get(toxics).post(add_toxic))
        .route(
            "/proxies/{proxy}/toxics/{toxic}",
            get(show_toxic).post(update_toxic).patch(update_toxic).delete(remove_toxic),
        )
        .route(COUNTERS_PATH, get(counters));
    if metrics.any() {
        router = router.route("/metrics", get(move |desk| show_metrics(desk, metrics)));
    }
    router
        .fallback(|| async { Refusal::NoSuchPage })
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(within_deadline))
        .layer(middleware::from_fn(no_browsers))
        .with_state(desk)
}

async fn version() -> Answer {
    json(StatusCode::OK, &VersionBody { version: VERSION.to_owned() })
}

async fn proxies(State(desk): State<Desk>) -> Answer {
    json(StatusCode::OK, &desk.look(Registry::list).await?)
}

async fn create(State(desk): State<Desk>, Body(spec): Body<ProxySpec>) -> Answer {
    let proxy = desk.ask(|all| Box::pin(async move { all.create(spec).await })).await??;
    json(StatusCode::CREATED, &proxy)
}

async fn populate(State(desk): State<Desk>, body: Result<Body<Vec<ProxySpec>>, Refusal>) -> Answer {
    let (proxies, refusal) = match body {
        Ok(Body(specs)) => {
            desk.ask(|all| Box::pin(async move { all.populate(specs).await })).await?
        }
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let status = refusal.as_ref().map_or(StatusCode::CREATED, Refusal::status);
    json(status, &Populated { failure: refusal.as_ref().map(Refusal::body), proxies })
}

async fn reset(State(desk): State<Desk>) -> Answer {
    desk.ask(|all| Box::pin(async move { all.reset().await })).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn show(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    let job = move |all: &Registry| all.proxy(&name).map(ProxyEntry::describe);
    json(StatusCode::OK, &desk.look(job).await??)
}

async fn update(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Result<Body<ProxyUpdate>, Refusal>,
) -> Answer {
    let known = name.clone();
    desk.look(move |all| all.proxy(&known).map(drop)).await??;
    let Body(change) = body?;
    let proxy = desk.ask(|all| Box::pin(async move { all.update(&name, change).await })).await??;
    json(StatusCode::OK, &proxy)
}

async fn delete(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    desk.ask(|all| Box::pin(async move { all.delete(&name).await })).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn toxics(State(desk): State<Desk>, Path(name): Path<String>) -> Answer {
    json(StatusCode::OK, &desk.look(move |all| all.proxy(&name).map(ProxyEntry::toxics)).await??)
}

async fn add_toxic(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    body: Result<Body<ToxicDraft>, Refusal>,
) -> Answer {
    let known = name.clone();
    desk.look(move |all| all.proxy(&known).map(drop)).await??;
    let Body(draft) = body?;
    json(StatusCode::OK, &desk.look(move |all| all.proxy(&name)?.add_toxic(draft)).await??)
}

async fn show_toxic(
    State(desk): State<Desk>,
    Path((name, toxic)): Path<(String, String)>,
) -> Answer {
    json(StatusCode::OK, &desk.look(move |all| all.proxy(&name)?.toxic(&toxic)).await??)
}

async fn update_toxic(
    State(desk): State<Desk>,
    Path((name, toxic)): Path<(String, String)>,
    body: Result<Body<ToxicUpdate>, Refusal>,
) -> Answer {
    let known = (name.clone(), toxic.clone());
    desk.look(move |all| all.proxy(&known.0)?.toxic(&known.1).map(drop)).await??;
    let Body(change) = body?;
    let job = move |all: &Registry| all.proxy(&name)?.update_toxic(&toxic, &change);
    json(StatusCode::OK, &desk.look(job).await??)
}

async fn remove_toxic(
    State(desk): State<Desk>,
    Path((name, toxic)): Path<(String, String)>,
) -> Answer {
    desk.look(move |all| all.proxy(&name)?.remove_toxic(&toxic)).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn counters(State(desk): State<Desk>) -> Answer {
    json(StatusCode::OK, &desk.look(Registry::counters).await?)
}

async fn show_metrics(State(desk): State<Desk>, options: MetricsOptions) -> Answer {
    let mut text = String::new();
    if options.proxies {
        text.push_str(&desk.look(metrics::proxies).await?);
    }
    if options.runtime {
        text.push_str(&metrics::runtime());
    }
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn no_browsers(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT);
    if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return Refusal::Browser.into_response();
    }
    next.run(request).await
}

async fn within_deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(HANDLER_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::TooSlow { deadline_s: HANDLER_DEADLINE.as_secs() }.into_response(),
    }
}

/// A JSON body, whatever its content type says.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| Refusal::BodyTooLong { max_bytes: BODY_BYTES_MAX })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|e| Refusal::BadBody(e.to_string()))
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).map_err(|e| Refusal::BadBody(e.to_string()))?;
    Ok((status, [(header::CONTENT_TYPE, "application/json")], text).into_response())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut text =
            serde_json::json!({ "error": body.error, "status": body.status }).to_string();
        text.push('\n');
        (self.status(), [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
    }
}
