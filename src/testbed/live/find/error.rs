//! Why no topology, or not one alone, is meant.

use std::path::{Path, PathBuf};

use super::Seen;
use crate::cli::exit::Exit;
use crate::testbed::live::OtherSchema;
use crate::testbed::topology::suggest;

/// What was looked for, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    /// Nothing to work on.
    #[error(
        "no topology is live {}{}\n  hint: start one with `dropbed up FILE` or `dropbed run FILE \
         --hold`; --run names one by its directory",
        place(out.as_deref()), as_far(unasked.as_deref())
    )]
    NoRun {
        /// Where was looked; none: everywhere.
        out: Option<PathBuf>,
        /// Why some may be missing.
        unasked: Option<String>,
    },
    /// Too much to work on.
    #[error(
        "several topologies are live {}\n  hint: choose one with {}",
        place(out.as_deref()),
        choices.join(" or ")
    )]
    Several {
        /// Where was looked; none: everywhere.
        out: Option<PathBuf>,
        /// What to write, newest first.
        choices: Vec<String>,
    },
    /// The directory that was named is none of a live run.
    #[error("no topology is live in {}: {why}\n  hint: {hint}", directory.display())]
    NotLive {
        /// As given.
        directory: PathBuf,
        /// In words.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Its file says what this version does not know.
    #[error(transparent)]
    OtherSchema(#[from] OtherSchema),
    /// A name that none has.
    #[error(
        "no topology `{name}` is live {}{}\n  hint: {hint}",
        place(out.as_deref()), as_far(unasked.as_deref())
    )]
    Unknown {
        /// As given.
        name: String,
        /// Where was looked; none: everywhere.
        out: Option<PathBuf>,
        /// Why some may be missing.
        unasked: Option<String>,
        /// The nearest name, or all.
        hint: String,
    },
}

impl FindError {
    /// A choice for each: by name where that is enough, else by id.
    pub(super) fn several(out: Option<PathBuf>, found: &[Seen]) -> Self {
        let choice = |one: &Seen| {
            let name = one.name();
            let is_only = found.iter().filter(|other| other.name() == name).count() == 1;
            format!("`--run {}`", if is_only { name } else { one.run_id.clone() })
        };
        Self::Several { out, choices: found.iter().map(choice).collect() }
    }

    /// With the names that there are.
    pub(super) fn unknown<'a>(
        name: &str,
        out: Option<PathBuf>,
        known: impl Iterator<Item = &'a Seen>,
    ) -> Self {
        let names: Vec<String> = known.map(Seen::name).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = match names.is_empty() {
            true => "none is; start one with `dropbed up FILE`".to_owned(),
            false => suggest::hint(name, &names),
        };
        Self::Unknown { name: name.to_owned(), out, unasked: None, hint }
    }

    /// The same, with why some topologies may not have been seen.
    pub(super) fn with_unasked(mut self, why: Option<String>) -> Self {
        if let Self::NoRun { unasked, .. } | Self::Unknown { unasked, .. } = &mut self {
            *unasked = why;
        }
        self
    }

    /// What the command ends with.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::NoRun { .. } | Self::NotLive { .. } | Self::OtherSchema(_) => Exit::Environment,
            Self::Several { .. } | Self::Unknown { .. } => Exit::BadInput,
        }
    }
}

fn place(out: Option<&Path>) -> String {
    out.map_or_else(|| "on this machine".to_owned(), |out| format!("in {}", out.display()))
}

fn as_far(unasked: Option<&str>) -> String {
    let told = |why| format!(", but those in containers could not be looked for: {why}");
    unasked.map_or_else(String::new, told)
}
