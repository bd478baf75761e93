//! `profiles`: settings by name, which may inherit from each other.

use std::collections::HashMap;

use super::super::super::defaults;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::schema;
use super::super::super::source::Span;
use super::super::super::suggest;
use super::super::super::tree::Value;
use super::super::fields::{self, Fields};
use super::super::items;
use super::settings::Settings;

/// A profile's name where one is asked for.
pub(super) struct Reference<'a> {
    name: &'a str,
    span: Span,
}

/// One profile as written.
struct Profile<'a> {
    name: &'a str,
    settings: Settings,
    inherits: Vec<Reference<'a>>,
}

/// All profiles, in file order.
pub(super) struct Profiles<'a> {
    list: Vec<Profile<'a>>,
    index: HashMap<&'a str, usize>,
    /// Names of all, even of those that are too many to be read.
    names: Vec<&'a str>,
}

impl<'a> Profiles<'a> {
    /// Reads all of them. Circles and names that do not exist are mistakes.
    pub(super) fn read(top: &Fields<'a>, found: &mut Vec<Diagnostic>) -> Self {
        let mut profiles = Self { list: Vec::new(), index: HashMap::new(), names: Vec::new() };
        let Some(node) = top.find("profiles") else { return profiles };
        let entries = fields::entries(node, "`profiles`", found);
        profiles.names = fields::named(entries).map(|entry| entry.key.as_str()).collect();
        if profiles.names.len() > defaults::PROFILES_MAX {
            let message = format!("{} profiles are too many", profiles.names.len());
            let hint = format!("at most {}", defaults::PROFILES_MAX);
            found.push(Diagnostic::new(node.span, message).hint(hint));
        }
        for entry in fields::named(entries).take(defaults::PROFILES_MAX) {
            fields::check_name(&entry.key, "a profile", entry.key_span, found);
            let what = format!("profile `{}`", entry.key);
            let fields = Fields::open(&entry.value, &what, &schema::PROFILE, found);
            let settings = Settings::read(&fields, &what, found);
            let inherits = references(&fields, found);
            profiles.index.insert(&entry.key, profiles.list.len());
            profiles.list.push(Profile { name: &entry.key, settings, inherits });
        }
        for profile in &profiles.list {
            profile.inherits.iter().for_each(|wanted| profiles.check_known(wanted, found));
        }
        profiles.check_circles(found);
        profiles
    }

    /// The wanted profiles in order over `shared`: each once, after what it
    /// inherits.
    pub(super) fn over(
        &self,
        shared: &Settings,
        wanted: &[Reference<'_>],
        found: &mut Vec<Diagnostic>,
    ) -> Settings {
        let mut order = Vec::new();
        let mut seen = vec![false; self.list.len()];
        for reference in wanted {
            self.check_known(reference, found);
            self.visit(reference, &mut seen, &mut order);
        }
        order
            .into_iter()
            .fold(shared.clone(), |under, index| self.list[index].settings.clone().over(&under))
    }

    /// Appends a profile that has not been seen, after all that it inherits. Goes
    /// no deeper than there are profiles.
    fn visit(&self, wanted: &Reference<'_>, seen: &mut [bool], order: &mut Vec<usize>) {
        let Some(&index) = self.index.get(wanted.name) else { return };
        if std::mem::replace(&mut seen[index], true) {
            return;
        }
        for inherited in &self.list[index].inherits {
            self.visit(inherited, seen, order);
        }
        order.push(index);
    }

    fn check_known(&self, wanted: &Reference<'_>, found: &mut Vec<Diagnostic>) {
        if self.names.contains(&wanted.name) {
            return;
        }
        let message = format!("there is no profile `{}`", wanted.name);
        let hint = match self.names.as_slice() {
            [] => format!("add it: `profiles: {{ {}: {{ ... }} }}`", wanted.name),
            names => suggest::hint(wanted.name, names),
        };
        found.push(Diagnostic::new(wanted.span, message).hint(hint));
    }

    /// Reports every circle once, at the reference that closes it.
    fn check_circles(&self, found: &mut Vec<Diagnostic>) {
        let mut done = vec![false; self.list.len()];
        for index in 0..self.list.len() {
            self.follow(index, &mut Vec::new(), &mut done, found);
        }
    }

    /// Follows what a profile inherits; `path` is how it was reached, each profile
    /// with the place of the reference that led on.
    fn follow(
        &self,
        index: usize,
        path: &mut Vec<(usize, Span)>,
        done: &mut [bool],
        found: &mut Vec<Diagnostic>,
    ) {
        if done[index] {
            return;
        }
        for reference in &self.list[index].inherits {
            let Some(&next) = self.index.get(reference.name) else { continue };
            path.push((index, reference.span));
            match path.iter().position(|(on_path, _)| *on_path == next) {
                Some(start) => found.push(self.circle(&path[start..])),
                None => self.follow(next, path, done, found),
            }
            path.pop();
        }
        done[index] = true;
    }

    /// A circle: never empty, the last leads to the first.
    fn circle(&self, circle: &[(usize, Span)]) -> Diagnostic {
        let name = |index: usize| self.list[index].name;
        let names: Vec<&str> =
            circle.iter().chain(&circle[..1]).map(|(index, _)| name(*index)).collect();
        let (_, last_span) = circle[circle.len() - 1];
        let message = format!("profiles inherit in a circle: {}", names.join(" -> "));
        let diagnostic = Diagnostic::new(last_span, message)
            .hint("take one of them out; a third profile may hold what both need");
        circle.iter().zip(&names[1..]).fold(diagnostic, |diagnostic, ((index, span), next)| {
            diagnostic.related(*span, format!("`{}` inherits `{next}` here", name(*index)))
        })
    }
}

/// What `profile` names: one, or a list.
pub(super) fn references<'a>(
    fields: &Fields<'a>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Reference<'a>> {
    let Some(node) = fields.find("profile") else { return Vec::new() };
    let nodes = match &node.value {
        Value::Sequence(_) => items(node, "`profile`", found),
        Value::Mapping(_) | Value::Scalar(_) => std::slice::from_ref(node),
    };
    let mut references: Vec<Reference<'a>> = Vec::new();
    for node in nodes {
        let Some(name) = fields::text(node, "`profile`", found) else { continue };
        match references.iter().find(|known| known.name == name) {
            Some(first) => {
                let message = format!("profile `{name}` is listed twice");
                let twice = Diagnostic::new(node.span, message).hint("remove one");
                found.push(twice.related(first.span, "first listed here"));
            }
            None => references.push(Reference { name, span: node.span }),
        }
    }
    references
}
