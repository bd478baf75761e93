//! The HTTP API: paths, bodies and statuses. Decides nothing else.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use tokio::time::timeout;

use super::super::api::{
    COUNTERS_PATH, Populated, ProxySpec, ProxyUpdate, ToxicDraft, ToxicUpdate, VERSION, VersionBody,
};
use super::metrics::{self, MetricsOptions};
use super::proxy::ProxyEntry;
use super::refusal::Refusal;
use super::registry::{Desk, Registry};

use exchange::{Answer, Body, Names, end_unread, json};
#[cfg(test)]
pub(super) use serving::CONNECTIONS_MAX;
pub(super) use serving::answer;

mod exchange;
mod serving;

/// A call is answered within this, with 503 if need be; the stock server's value.
const HANDLER_DEADLINE: Duration = Duration::from_secs(25);

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
        .route(COUNTERS_PATH, get(counters))
        .route("/dropbed/proxies/{proxy}/connections", get(connections));
    router = router.route_layer(middleware::from_fn(exact_method));
    if metrics.any() {
        router = router.route("/metrics", any(move |desk| show_metrics(desk, metrics)));
    }
    router
        .route_layer(middleware::from_fn(within_deadline))
        .route_layer(middleware::from_fn(no_browsers))
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        .fallback(|| async { Refusal::NoSuchPage })
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
    let failure = refusal.as_ref().map(Refusal::body);
    let mut answer = json(status, &Populated { failure, proxies })?;
    if let Some(refusal) = refusal {
        end_unread(&refusal, &mut answer);
    }
    Ok(answer)
}

async fn reset(State(desk): State<Desk>) -> Answer {
    desk.ask(|all| Box::pin(async move { all.reset().await })).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn show(State(desk): State<Desk>, Names([name]): Names<1>) -> Answer {
    let job = move |all: &Registry| all.proxy(&name).map(ProxyEntry::describe);
    json(StatusCode::OK, &desk.look(job).await??)
}

async fn update(
    State(desk): State<Desk>,
    Names([name]): Names<1>,
    body: Result<Body<ProxyUpdate>, Refusal>,
) -> Answer {
    let known = name.clone();
    desk.look(move |all| all.proxy(&known).map(drop)).await??;
    let Body(change) = body?;
    let proxy = desk.ask(|all| Box::pin(async move { all.update(&name, change).await })).await??;
    json(StatusCode::OK, &proxy)
}

async fn delete(State(desk): State<Desk>, Names([name]): Names<1>) -> Answer {
    desk.ask(|all| Box::pin(async move { all.delete(&name).await })).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn toxics(State(desk): State<Desk>, Names([name]): Names<1>) -> Answer {
    json(
        StatusCode::OK,
        &desk.look(move |all| all.proxy(&name).map(|proxy| proxy.toxics().all())).await??,
    )
}

async fn add_toxic(
    State(desk): State<Desk>,
    Names([name]): Names<1>,
    body: Result<Body<ToxicDraft>, Refusal>,
) -> Answer {
    let known = name.clone();
    desk.look(move |all| all.proxy(&known).map(drop)).await??;
    let Body(draft) = body?;
    json(StatusCode::OK, &desk.look(move |all| all.proxy(&name)?.toxics().add(draft)).await??)
}

async fn show_toxic(State(desk): State<Desk>, Names([name, toxic]): Names<2>) -> Answer {
    json(StatusCode::OK, &desk.look(move |all| all.proxy(&name)?.toxics().get(&toxic)).await??)
}

async fn update_toxic(
    State(desk): State<Desk>,
    Names([name, toxic]): Names<2>,
    body: Result<Body<ToxicUpdate>, Refusal>,
) -> Answer {
    let known = (name.clone(), toxic.clone());
    desk.look(move |all| all.proxy(&known.0)?.toxics().get(&known.1).map(drop)).await??;
    let Body(change) = body?;
    let job = move |all: &Registry| all.proxy(&name)?.toxics().update(&toxic, &change);
    json(StatusCode::OK, &desk.look(job).await??)
}

async fn remove_toxic(State(desk): State<Desk>, Names([name, toxic]): Names<2>) -> Answer {
    desk.look(move |all| all.proxy(&name)?.toxics().remove(&toxic)).await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn counters(State(desk): State<Desk>) -> Answer {
    json(StatusCode::OK, &desk.look(Registry::counters).await?)
}

async fn connections(State(desk): State<Desk>, Names([name]): Names<1>) -> Answer {
    let job = move |all: &Registry| all.proxy(&name).map(ProxyEntry::connections);
    json(StatusCode::OK, &desk.look(job).await??)
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

/// The stock server's GET does not answer HEAD.
async fn exact_method(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    next.run(request).await
}

async fn no_browsers(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT);
    if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return Refusal::Browser.into_response();
    }
    next.run(request).await
}

async fn within_deadline(request: Request, next: Next) -> Response {
    match timeout(HANDLER_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::TooSlow { deadline_s: HANDLER_DEADLINE.as_secs() }.into_response(),
    }
}
