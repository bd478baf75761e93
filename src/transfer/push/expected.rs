//! The pure part of a push: which part may come next.

use bytes::Bytes;

use crate::proto::drop as wire;
use crate::transfer::Version;

/// Every so-manieth part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transfer) struct Stripe {
    /// Bytes of each part, less only at the end.
    pub(in crate::transfer) part_bytes: u32,
    /// From the start of one part to that of the next.
    pub(in crate::transfer) step_bytes: u64,
}

/// What one stream of a push is to bring.
#[derive(Debug)]
pub(in crate::transfer) struct Expected {
    version: Option<Version>,
    next_bytes: u64,
    length_bytes: Option<u64>,
    end_bytes: u64,
    part_bytes: Option<u32>,
    /// None: all parts.
    stripe: Option<Stripe>,
}

impl Expected {
    /// All of `length_bytes` (none: to the end) from `offset_bytes`, of `version` when
    /// that is known before the first part, in parts of `part_bytes` (none: as the
    /// server likes).
    pub(in crate::transfer) fn new(
        version: Option<Version>,
        offset_bytes: u64,
        length_bytes: Option<u64>,
        part_bytes: Option<u32>,
    ) -> Self {
        let (next_bytes, end_bytes) = (offset_bytes, offset_bytes);
        Self { version, next_bytes, length_bytes, end_bytes, part_bytes, stripe: None }
    }

    /// The parts of `stripe` from `offset_bytes` to before `end_bytes`.
    pub(in crate::transfer) fn striped(
        version: Version,
        offset_bytes: u64,
        end_bytes: u64,
        stripe: Stripe,
    ) -> Self {
        let length_bytes = Some(end_bytes - offset_bytes);
        let whole = Self::new(Some(version), offset_bytes, length_bytes, Some(stripe.part_bytes));
        Self { stripe: Some(stripe), ..whole }
    }

    /// What is still missing after the first part, to be asked for anew; `None` when
    /// nothing is.
    pub(in crate::transfer) fn rest(&self) -> Option<Self> {
        let length_bytes = Some(self.rest_bytes()).filter(|&bytes| bytes > 0)?;
        let (version, next_bytes) = (self.version, self.next_bytes);
        let rest = Self::new(version, next_bytes, Some(length_bytes), self.part_bytes);
        Some(Self { stripe: self.stripe, ..rest })
    }

    /// How it is asked for.
    pub(in crate::transfer) fn request(&self, path: String) -> wire::StreamFileRequest {
        wire::StreamFileRequest {
            path,
            offset_bytes: self.next_bytes,
            length_bytes: self.length_bytes.unwrap_or(0),
            version: self.version.map(Into::into),
            part_bytes: self.part_bytes.unwrap_or(0),
            step_bytes: self.stripe.map_or(0, |stripe| stripe.step_bytes),
        }
    }

    /// Takes the next part, or says what is wrong with it.
    pub(in crate::transfer) fn accept(
        &mut self,
        part: wire::FilePart,
        first: bool,
    ) -> Result<Bytes, String> {
        match (first, part.version) {
            (true, Some(version)) => self.begin(version.into())?,
            (true, None) => return Err("the first part has no version".to_owned()),
            (false, Some(version)) if self.version != Some(version.into()) => {
                return Err("a later part is of another version".to_owned());
            }
            (false, _) => {}
        }
        if part.offset_bytes != self.next_bytes {
            let (got, want) = (part.offset_bytes, self.next_bytes);
            return Err(format!("a part is at {got} instead of {want}"));
        }
        // Without this a peer could keep a pull going for ever.
        if !first && part.data.is_empty() {
            return Err("an empty part after the first".to_owned());
        }
        let (got_bytes, rest_bytes) = (part.data.len() as u64, self.rest_bytes());
        if got_bytes > rest_bytes {
            return Err("more bytes than were asked for".to_owned());
        }
        self.next_bytes += match self.stripe {
            None => got_bytes,
            // The parts between are in other streams: their places are fixed.
            Some(stripe) if got_bytes == rest_bytes.min(u64::from(stripe.part_bytes)) => {
                stripe.step_bytes
            }
            Some(stripe) => {
                let want = stripe.part_bytes;
                return Err(format!("a part has {got_bytes} bytes instead of {want}"));
            }
        };
        Ok(part.data)
    }

    /// The stream ended; the reason when that was too early.
    pub(in crate::transfer) fn finish(&self, first: bool) -> Result<(), String> {
        if first {
            return Err("the stream ended before its first part".to_owned());
        }
        match self.rest_bytes() {
            0 => Ok(()),
            missing => Err(format!("the stream ended {missing} bytes early")),
        }
    }

    fn rest_bytes(&self) -> u64 {
        // A step may lead beyond the end.
        self.end_bytes.saturating_sub(self.next_bytes)
    }

    fn begin(&mut self, version: Version) -> Result<(), String> {
        if self.version.is_some_and(|wanted| wanted != version) {
            return Err("the first part is of another version than asked for".to_owned());
        }
        let Some(rest_bytes) = version.size_bytes.checked_sub(self.next_bytes) else {
            return Err("the file ends before the offset asked for".to_owned());
        };
        self.version = Some(version);
        self.end_bytes += self.length_bytes.map_or(rest_bytes, |length| length.min(rest_bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
