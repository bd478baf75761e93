//! The toxics of one proxy: checked, kept in order, and followed by its
//! connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::watch;

use super::super::api::{Effect, RateScope, Stream, Toxic, ToxicDraft, ToxicUpdate};
use super::bucket::{Bucket, Buckets};
use super::refusal::{NAME_BYTES_MAX, Refusal};

/// Toxics of one proxy. Far more than types times streams; each costs a little on
/// every chunk.
const TOXICS_MAX: usize = 64;

/// A toxic with what its connections share.
#[derive(Clone, Debug)]
pub(super) struct LiveToxic {
    /// Never used twice in a proxy: a toxic that was removed and added again is
    /// another one to the connections.
    pub(super) id: u64,
    pub(super) toxic: Toxic,
    /// The shared rate of a `bandwidth` toxic.
    pub(super) bucket: Option<Arc<Bucket>>,
}

/// What connections see change.
pub(super) type Followed = watch::Receiver<Arc<[LiveToxic]>>;

/// All toxics of a proxy, in order of creation. Changed by one task at a time, the
/// registry's: a change is made of what was there before.
#[derive(Debug)]
pub(super) struct ToxicList {
    live: watch::Sender<Arc<[LiveToxic]>>,
    ids_used: AtomicU64,
    buckets: Buckets,
}

impl ToxicList {
    pub(super) fn new(buckets: Buckets) -> Self {
        Self { live: watch::Sender::new(Arc::new([])), ids_used: AtomicU64::new(0), buckets }
    }

    pub(super) fn follow(&self) -> Followed {
        self.live.subscribe()
    }

    pub(super) fn all(&self) -> Vec<Toxic> {
        self.live.borrow().iter().map(|live| live.toxic.clone()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Result<Toxic, Refusal> {
        let live = self.live.borrow();
        let found = live.iter().find(|live| live.toxic.name == name);
        found.map(|live| live.toxic.clone()).ok_or(Refusal::ToxicNotFound)
    }

    /// Adds a toxic at the end; connections have it from their next byte on.
    pub(super) fn add(&self, draft: ToxicDraft) -> Result<Toxic, Refusal> {
        let toxic = check_draft(draft)?;
        let mut live = self.live.borrow().to_vec();
        if live.iter().any(|other| other.toxic.name == toxic.name) {
            return Err(Refusal::ToxicAlreadyExists);
        }
        if live.len() >= TOXICS_MAX {
            return Err(Refusal::TooMany { what: "toxics of one proxy", max: TOXICS_MAX });
        }
        let id = self.ids_used.fetch_add(1, Relaxed);
        let bucket = self.bucket_of(&toxic.effect, None);
        live.push(LiveToxic { id, toxic: toxic.clone(), bucket });
        self.live.send_replace(live.into());
        Ok(toxic)
    }

    /// Changes attributes and toxicity; nothing when a value is out of range.
    pub(super) fn update(&self, name: &str, update: &ToxicUpdate) -> Result<Toxic, Refusal> {
        let mut live = self.live.borrow().to_vec();
        let index = position(&live, name)?;
        let toxic = &mut live[index].toxic;
        let before = toxic.effect.clone();
        if let Some(attributes) = &update.attributes {
            toxic.effect.check_names(attributes)?;
            toxic.effect = toxic.effect.with(attributes)?;
        }
        if let Some(toxicity) = update.toxicity {
            toxic.toxicity = check_toxicity(toxicity)?;
        }
        let updated = toxic.clone();
        if let (Some(bucket), true) = (&live[index].bucket, before != updated.effect) {
            bucket.clear();
        }
        live[index].bucket = self.bucket_of(&updated.effect, Some((before, &live[index])));
        self.live.send_replace(live.into());
        Ok(updated)
    }

    /// Removes a toxic; what is queued keeps its due time.
    pub(super) fn remove(&self, name: &str) -> Result<(), Refusal> {
        let mut live = self.live.borrow().to_vec();
        live.remove(position(&live, name)?);
        self.live.send_replace(live.into());
        Ok(())
    }

    /// Removes all toxics.
    pub(super) fn clear(&self) {
        self.live.send_replace(Arc::new([]));
    }

    /// The bucket of an effect: the one that it had, where that is still right.
    fn bucket_of(
        &self,
        effect: &Effect,
        before: Option<(Effect, &LiveToxic)>,
    ) -> Option<Arc<Bucket>> {
        let Effect::Bandwidth(bandwidth) = effect else { return None };
        if bandwidth.scope == RateScope::Connection {
            return None;
        }
        if let Some(name) = &bandwidth.bucket {
            return Some(self.buckets.named(name));
        }
        match before {
            Some((Effect::Bandwidth(old), live)) if old.bucket.is_none() => live.bucket.clone(),
            _ => None,
        }
        .or_else(|| Some(Arc::default()))
    }
}

fn position(live: &[LiveToxic], name: &str) -> Result<usize, Refusal> {
    live.iter().position(|live| live.toxic.name == name).ok_or(Refusal::ToxicNotFound)
}

fn check_draft(draft: ToxicDraft) -> Result<Toxic, Refusal> {
    let stream = match draft.stream {
        None => Stream::Downstream,
        Some(name) => Stream::parse(&name).ok_or(Refusal::InvalidStream)?,
    };
    let kind = draft.kind.unwrap_or_default();
    let attributes = draft.attributes.unwrap_or_default();
    let effect = Effect::parse(&kind, &attributes)?;
    if let Effect::Other { .. } = effect {
        return Err(Refusal::InvalidToxicType);
    }
    effect.check_names(&attributes)?;
    let name = match draft.name {
        Some(name) if !name.is_empty() => name,
        _ => format!("{kind}_{}", stream.name()),
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(Refusal::NameTooLong);
    }
    Ok(Toxic { name, stream, toxicity: check_toxicity(draft.toxicity.unwrap_or(1.0))?, effect })
}

fn check_toxicity(toxicity: f64) -> Result<f64, Refusal> {
    if (0.0..=1.0).contains(&toxicity) { Ok(toxicity) } else { Err(Refusal::Toxicity(toxicity)) }
}

#[cfg(test)]
mod tests;
