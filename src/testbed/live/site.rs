//! What `dropbed link` works on: a proxy server, and the run behind it if there is
//! one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::LinkPlace;
use super::change::{self, Change, Edit};
use super::error::LinkError;
use super::find::{self, Found, Which};
use super::view::LinkView;
use crate::testbed::events::Events;
use crate::testbed::topology::suggest;
use crate::toxiproxy::api::{Proxy, ProxyUpdate, Toxic};
use crate::toxiproxy::client::{Client, ClientError};

/// A person waits for the answer, and the server answers from memory.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Proxies by name, as the client tells them.
pub(crate) type Proxies = BTreeMap<String, Proxy>;

/// Which run, or which server, as the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Where {
    /// Looked for without `proxy`.
    pub(crate) which: Which,
    /// Base URL of any Toxiproxy server's API.
    pub(crate) proxy: Option<String>,
}

/// A proxy server that was chosen; nothing is asked of it yet.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) found: Option<Found>,
    api: String,
    client: Client,
}

/// Something to do to a link.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Another shape.
    Shape(Change),
    /// A toxic more.
    Add(Toxic),
    /// A toxic less, by its name.
    Remove(String),
    /// Listen, or close the listener and all connections.
    Enable(bool),
}

impl Site {
    /// Finds the run or takes the server.
    pub(crate) async fn open(at: &Where) -> Result<Self, LinkError> {
        let (api, found) = if let Some(url) = &at.proxy {
            (url.clone(), None)
        } else {
            let found = find::find(&at.which).await?;
            (found.live.proxy_api.clone(), Some(found))
        };
        let client = Client::new(&api)?.with_deadline(CALL_DEADLINE);
        Ok(Self { found, api, client })
    }

    /// A warning, when the run is in the middle of its figures.
    pub(crate) fn disturbs(&self) -> Option<String> {
        let live = &self.found.as_ref()?.live;
        let warning = live.disturbs()?;
        Some(format!("{warning}, and its next probe of the link may end it"))
    }

    /// All links: those of the run in its order, then other proxies of the server.
    pub(crate) async fn links(&self) -> Result<Vec<LinkView>, LinkError> {
        let proxies = self.client.proxies().await?;
        let mut counters = match self.client.counters().await {
            Ok(counters) => Some(counters),
            Err(ClientError::NotBundled { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let order = |name: &str| {
            let links = self.found.iter().flat_map(|found| &found.live.links);
            links.into_iter().position(|link| link.plan.name == name).unwrap_or(usize::MAX)
        };
        let mut views: Vec<LinkView> = proxies
            .into_values()
            .map(|proxy| {
                let counted = counters.as_mut().and_then(|all| all.remove(&proxy.name));
                let place = self.place(&proxy.name);
                LinkView::new(proxy, place, counted)
            })
            .collect();
        views.sort_by_key(|view| order(&view.name));
        Ok(views)
    }

    /// One link with its connections.
    pub(crate) async fn link(&self, name: &str) -> Result<LinkView, LinkError> {
        let mut views = self.links().await?;
        let Some(index) = views.iter().position(|view| view.name == name) else {
            return Err(self.unknown(name, views.iter().map(|view| view.name.as_str())));
        };
        let mut view = views.swap_remove(index);
        view.connections = match self.client.connections(name).await {
            Ok(connections) => Some(connections),
            Err(ClientError::NotBundled { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(view)
    }

    /// Does something to a link. `done` gets a line for each toxic, also for those
    /// that were changed before an error.
    pub(crate) async fn act(
        &self,
        name: &str,
        action: &Action,
        done: &mut Vec<String>,
    ) -> Result<(), LinkError> {
        let result = self.try_act(name, action, done).await;
        if !done.is_empty() {
            self.note(name, done);
        }
        result
    }

    async fn try_act(
        &self,
        name: &str,
        action: &Action,
        done: &mut Vec<String>,
    ) -> Result<(), LinkError> {
        let proxies = self.client.proxies().await?;
        let Some(proxy) = proxies.get(name) else {
            return Err(self.unknown(name, proxies.keys().map(String::as_str)));
        };
        match action {
            Action::Shape(change) => {
                let is_bundled = self.client.version().await?.is_bundled;
                let edits = change::edits(&proxies, proxy, self.place(name), *change, is_bundled)?;
                self.edit(edits, done).await?;
            }
            Action::Add(toxic) => done.push(self.add(proxy, toxic).await?),
            Action::Remove(toxic) => done.push(self.remove(proxy, toxic).await?),
            Action::Enable(enabled) => {
                let update = ProxyUpdate { enabled: Some(*enabled), ..ProxyUpdate::default() };
                self.client.update(name, &update).await?;
                done.push(format!("{name}: {}", if *enabled { "enabled" } else { "disabled" }));
            }
        }
        Ok(())
    }

    async fn edit(
        &self,
        edits: Vec<(String, Edit)>,
        done: &mut Vec<String>,
    ) -> Result<(), LinkError> {
        for (proxy, edit) in edits {
            let (verb, made) = match &edit {
                Edit::Add(toxic) => ("added", self.client.add_toxic(&proxy, toxic).await?),
                Edit::Update(toxic) => ("changed", self.client.update_toxic(&proxy, toxic).await?),
            };
            done.push(told(&proxy, verb, &made));
        }
        Ok(())
    }

    async fn add(&self, proxy: &Proxy, toxic: &Toxic) -> Result<String, LinkError> {
        if proxy.toxics.iter().any(|there| there.name == toxic.name) {
            return Err(LinkError::Change {
                link: proxy.name.clone(),
                what: format!("it has a toxic `{}` already", toxic.name),
                hint: "give another one with --name".into(),
            });
        }
        let made = self.client.add_toxic(&proxy.name, toxic).await?;
        Ok(told(&proxy.name, "added", &made))
    }

    async fn remove(&self, proxy: &Proxy, toxic: &str) -> Result<String, LinkError> {
        let names: Vec<&str> = proxy.toxics.iter().map(|toxic| toxic.name.as_str()).collect();
        if !names.contains(&toxic) {
            return Err(LinkError::Change {
                link: proxy.name.clone(),
                what: format!("there is no toxic `{toxic}` to remove"),
                hint: suggest::hint(toxic, &names),
            });
        }
        self.client.remove_toxic(&proxy.name, toxic).await?;
        Ok(format!("{}: removed {toxic}", proxy.name))
    }

    /// The run's own history says who changed its links.
    fn note(&self, link: &str, done: &[String]) {
        let Some(Found { directory, live }) = &self.found else { return };
        let path = directory.join("events.ndjson");
        match Events::join(&path, live.started_unix_ns) {
            Ok(events) => {
                events.add("link_set", serde_json::json!({"link": link, "done": done}));
            }
            Err(error) => tracing::warn!("cannot add to {}: {error}", path.display()),
        }
    }

    fn place(&self, name: &str) -> Option<&LinkPlace> {
        self.found.as_ref().and_then(|found| found.live.link(name))
    }

    fn unknown<'a>(&self, name: &str, names: impl Iterator<Item = &'a str>) -> LinkError {
        let names: Vec<&str> = names.collect();
        let (name, at) = (name.to_owned(), self.api.clone());
        LinkError::UnknownLink { hint: suggest::hint(&name, &names), name, at }
    }
}

fn told(proxy: &str, verb: &str, toxic: &Toxic) -> String {
    let attributes = Value::Object(toxic.effect.attributes());
    format!("{proxy}: {verb} {} {attributes}", toxic.name)
}

#[cfg(test)]
mod tests;
