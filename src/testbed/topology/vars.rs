//! `${name}` and `${name:-default}` in values; `$$` is a dollar sign.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::diagnostic::Diagnostic;
use super::schema;
use super::source::Span;
use super::suggest;
use super::tree::{Entry, Node, SCALAR_BYTES_MAX, Scalar, Value};

mod uses;

use uses::{Piece, pieces};
pub(crate) use uses::{Use, below, in_topology};

/// Top-level keys whose values are taken as written: they define variables.
const LITERAL_KEYS: [&str; 2] = ["matrix", "vars"];

/// A tree with all variables put in, and what could not be.
pub(crate) struct Substituted {
    pub(crate) tree: Node,
    pub(crate) found: Vec<Diagnostic>,
    /// Scalars that are left as they were: nothing can be said about them.
    unresolved: HashSet<Span>,
    /// The variables that went into a scalar.
    used: HashMap<Span, Vec<String>>,
}

impl Substituted {
    /// Puts `vars` in. Unknown variables are diagnostics, but for those that the
    /// file defines: what is wrong with their definition has been told.
    pub(crate) fn new(root: &Node, vars: &BTreeMap<String, String>) -> Self {
        let mut substitution = Substitution {
            root,
            vars,
            found: Vec::new(),
            unresolved: HashSet::new(),
            used: HashMap::new(),
        };
        let tree = substitution.top();
        let Substitution { found, unresolved, used, .. } = substitution;
        Self { tree, found, unresolved, used }
    }

    /// Whether the scalar at `span` is what it was meant to be.
    pub(crate) fn is_resolved(&self, span: Option<Span>) -> bool {
        span.is_none_or(|span| !self.unresolved.contains(&span))
    }

    /// Adds to a mistake in a value where the variables of that value come from.
    pub(crate) fn explained(
        &self,
        diagnostic: Diagnostic,
        places: &BTreeMap<String, Span>,
    ) -> Diagnostic {
        let used = diagnostic.span.and_then(|span| self.used.get(&span));
        used.into_iter().flatten().fold(diagnostic, |diagnostic, name| match places.get(name) {
            Some(place) => diagnostic.related(*place, format!("`{name}` is given here")),
            None => diagnostic,
        })
    }
}

struct Substitution<'a> {
    root: &'a Node,
    vars: &'a BTreeMap<String, String>,
    found: Vec<Diagnostic>,
    unresolved: HashSet<Span>,
    used: HashMap<Span, Vec<String>>,
}

impl Substitution<'_> {
    fn top(&mut self) -> Node {
        let Value::Mapping(entries) = &self.root.value else { return self.root.clone() };
        let entries = entries
            .iter()
            .map(|entry| {
                let literal = LITERAL_KEYS.contains(&entry.key.as_str());
                if literal { entry.clone() } else { self.entry(entry) }
            })
            .collect();
        Node { span: self.root.span, value: Value::Mapping(entries) }
    }

    /// What is the file's own is taken as written.
    fn entry(&mut self, entry: &Entry) -> Entry {
        if schema::is_own_key(&entry.key) {
            return entry.clone();
        }
        Entry { key: entry.key.clone(), key_span: entry.key_span, value: self.below(&entry.value) }
    }

    fn below(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            Value::Mapping(entries) => {
                Value::Mapping(entries.iter().map(|entry| self.entry(entry)).collect())
            }
            Value::Sequence(items) => {
                Value::Sequence(items.iter().map(|item| self.below(item)).collect())
            }
            Value::Scalar(scalar) => Value::Scalar(self.scalar(scalar, node.span)),
        };
        Node { span: node.span, value }
    }

    fn scalar(&mut self, scalar: &Scalar, span: Span) -> Scalar {
        match expand(&scalar.text, self.vars) {
            Ok(text) if text == scalar.text => scalar.clone(),
            // What comes out is taken as if it had been written unquoted: a
            // variable within { } has to be quoted, and may still be a number.
            Ok(text) => {
                let used = uses::in_text(&scalar.text, span).map(|used| used.name.to_owned());
                self.used.insert(span, used.collect());
                Scalar { text, plain: true, template: Some(scalar.text.clone()) }
            }
            Err(problem) => {
                self.unresolved.insert(span);
                let defined = |name: &String| {
                    self.root.child("vars").and_then(|vars| vars.child(name)).is_some()
                };
                if !problem.unknown.as_ref().is_some_and(defined) {
                    self.found.push(Diagnostic::new(span, problem.message).hint(problem.hint));
                }
                scalar.clone()
            }
        }
    }
}

struct Problem {
    /// The variable that there is not.
    unknown: Option<String>,
    message: String,
    hint: String,
}

fn expand(text: &str, vars: &BTreeMap<String, String>) -> Result<String, Problem> {
    let mut out = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Reference(reference) => out.push_str(&value_of(reference, vars)?),
            Piece::Unclosed(body) => {
                return Err(Problem {
                    unknown: None,
                    message: format!("`${{{body}` is not closed"),
                    hint: "end the variable with `}`, or write `$$` for a dollar sign".to_owned(),
                });
            }
        }
        if out.len() > SCALAR_BYTES_MAX {
            break;
        }
    }
    if out.len() > SCALAR_BYTES_MAX {
        return Err(Problem {
            unknown: None,
            message: format!("longer than {SCALAR_BYTES_MAX} bytes with its variables put in"),
            hint: "use shorter values".to_owned(),
        });
    }
    Ok(out)
}

fn value_of(reference: &str, vars: &BTreeMap<String, String>) -> Result<String, Problem> {
    let (name, default) = uses::parse(reference);
    if let Some(value) = vars.get(name) {
        return Ok(value.clone());
    }
    default.map(str::to_owned).ok_or_else(|| {
        let known: Vec<&str> = vars.keys().map(String::as_str).collect();
        let hint = match suggest::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `${{{near}}}`?"),
            None => format!("define it in `vars`, or give a default: `${{{name}:-...}}`"),
        };
        let message = format!("there is no variable `{name}`");
        Problem { unknown: Some(name.to_owned()), message, hint }
    })
}
