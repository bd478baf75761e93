//! What a peer can be told, and what holds where nobody says it.

use std::collections::BTreeMap;

use super::super::super::defaults;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::schema;
use super::super::super::source::Placed;
use super::super::fields::{self, Fields};
use super::{Places, volumes};
use crate::testbed::contract::env;
use crate::testbed::plan::{PeerPlan, Resources, Volume, Volumes};

/// Environment that the runtime sets itself.
const RESERVED_ENVIRONMENT: [&str; 9] = [
    env::NAME,
    env::LISTEN,
    env::CONTROL,
    env::CONTROL_TOKEN_FILE,
    env::STATE,
    env::SHARE,
    env::MOUNT,
    env::REKEY_BYTES,
    env::OTLP_ENDPOINT,
];

/// What one map says; what it does not say is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    mount: Option<Placed<bool>>,
    privileged: Option<bool>,
    rekey_bytes: Option<u64>,
    environment: BTreeMap<String, String>,
    cpus_milli: Option<u32>,
    memory_bytes: Option<u64>,
    share: Option<Placed<Volume>>,
    state: Option<Placed<Volume>>,
}

impl Settings {
    /// Reads the settings among the keys of a map.
    pub(super) fn read(fields: &Fields<'_>, what: &str, found: &mut Vec<Diagnostic>) -> Self {
        let mount = fields.find("mount").and_then(|node| {
            let value = fields.boolean("mount", found)?;
            Some(Placed { value, span: node.span })
        });
        let mut settings = Self {
            mount,
            privileged: fields.boolean("privileged", found),
            rekey_bytes: fields.quantity("rekey_bytes", found),
            environment: environment(fields, what, found),
            ..Self::default()
        };
        if let Some(node) = fields.find("resources") {
            let fields = Fields::open(node, "`resources`", &schema::RESOURCES, found);
            let cpus = fields.quantity("cpus", found);
            settings.cpus_milli = cpus.and_then(|cpus| u32::try_from(cpus).ok());
            settings.memory_bytes = fields.quantity("memory", found);
        }
        if let Some(node) = fields.find("volumes") {
            let fields = Fields::open(node, "`volumes`", &schema::VOLUMES, found);
            settings.share =
                fields.find("share").and_then(|node| volumes::volume(node, "`share`", found));
            settings.state = fields.find("state").and_then(|node| volumes::state(node, found));
        }
        settings
    }

    /// This, and from `under` what this does not say.
    pub(super) fn over(self, under: &Self) -> Self {
        let mut environment = under.environment.clone();
        environment.extend(self.environment);
        Self {
            mount: self.mount.or(under.mount),
            privileged: self.privileged.or(under.privileged),
            rekey_bytes: self.rekey_bytes.or(under.rekey_bytes),
            environment,
            cpus_milli: self.cpus_milli.or(under.cpus_milli),
            memory_bytes: self.memory_bytes.or(under.memory_bytes),
            share: self.share.or_else(|| under.share.clone()),
            state: self.state.or_else(|| under.state.clone()),
        }
    }

    /// The peer of that name, defaults where nothing was said.
    pub(super) fn plan(&self, name: String) -> PeerPlan {
        let volume = |told: &Option<Placed<Volume>>| {
            told.as_ref().map_or_else(Volume::default, |told| told.value.clone())
        };
        PeerPlan {
            name,
            mount: self.mount.map_or(defaults::PEER_MOUNT, |mount| mount.value),
            privileged: self.privileged.unwrap_or(defaults::PEER_PRIVILEGED),
            rekey_bytes: self.rekey_bytes,
            environment: self.environment.clone(),
            resources: Resources { cpus_milli: self.cpus_milli, memory_bytes: self.memory_bytes },
            volumes: Volumes { share: volume(&self.share), state: volume(&self.state) },
        }
    }

    /// Where it was said.
    pub(super) fn places(&self) -> Places {
        Places {
            mount: self.mount.map(|told| told.span),
            share: self.share.as_ref().map(|told| told.span),
            state: self.state.as_ref().map(|told| told.span),
        }
    }
}

fn environment(
    fields: &Fields<'_>,
    what: &str,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let Some(node) = fields.find("environment") else { return environment };
    let what = format!("`environment` of {what}");
    for entry in fields::named(fields::entries(node, &what, found)) {
        if RESERVED_ENVIRONMENT.contains(&entry.key.as_str()) {
            let message = format!("`{}` is set by the testbed", entry.key);
            found.push(Diagnostic::new(entry.key_span, message).hint("remove it"));
        } else if !fields::is_identifier(&entry.key) {
            let message = format!("`{}` is not a name for an environment variable", entry.key);
            let hint = "letters, digits and _, not starting with a digit";
            found.push(Diagnostic::new(entry.key_span, message).hint(hint));
        } else if let Some(value) = fields::literal(&entry.value, &what, found) {
            environment.insert(entry.key.clone(), value);
        }
    }
    environment
}
