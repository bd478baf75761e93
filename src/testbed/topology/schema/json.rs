//! The tables as JSON Schema, draft 2020-12.
//!
//! What a schema cannot say (that a peer exists, that a jitter fits its latency)
//! stays with `dropbed validate`; so does the range of what has a unit, which is
//! in the descriptions. Every value may be a variable, and every key that is not
//! required may be null, which is the same as not there.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value, json};

use super::{Key, Kind, Map, Names, OWN_KEY_PREFIX, TOPOLOGY, Unsaid};
use crate::testbed::topology::defaults;
use crate::testbed::topology::units::Quantity;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of topologies, as text; the same for the same build.
pub fn json() -> String {
    let mut definitions = Definitions::default();
    let top = definitions.map(&TOPOLOGY);
    definitions.add("name", || {
        json!({
            "description": "Lower-case letters, digits and inner dashes: a host name label.",
            "type": "string",
            "pattern": format!("^{}$", names_pattern(Names::Host)),
            "maxLength": defaults::NAME_BYTES_MAX,
        })
    });
    definitions.add("variable", || {
        json!({
            "description": "A variable of `vars`: `${name}` or `${name:-default}`.",
            "type": "string",
            "pattern": "\\$\\{[^}]+\\}",
        })
    });
    let mut schema = Object::new();
    schema.insert("$schema".to_owned(), DIALECT.into());
    schema.insert("title".to_owned(), "A topology of dropbed".into());
    schema.extend(top);
    schema.insert("$defs".to_owned(), definitions.known.into_iter().collect());
    let mut text = serde_json::to_string_pretty(&Value::Object(schema))
        .expect("a schema holds only text, numbers, lists and maps with text keys");
    text.push('\n');
    text
}

/// What is referred to by name, each once.
#[derive(Default)]
struct Definitions {
    known: BTreeMap<String, Value>,
}

impl Definitions {
    fn add(&mut self, name: &str, make: impl FnOnce() -> Value) {
        if !self.known.contains_key(name) {
            self.known.insert(name.to_owned(), make());
        }
    }

    /// A reference to a map, which is defined if it is not yet. No map is within
    /// itself.
    fn map_reference(&mut self, map: &'static Map) -> Value {
        if !self.known.contains_key(map.name) {
            let definition = self.map(map);
            self.known.insert(map.name.to_owned(), Value::Object(definition));
        }
        reference(map.name)
    }

    fn map(&mut self, map: &'static Map) -> Object<String, Value> {
        let properties: Object<String, Value> =
            map.keys().map(|key| (key.name.to_owned(), self.key(key))).collect();
        let required: Vec<&str> =
            map.keys().filter(|key| key.required).map(|key| key.name).collect();
        let mut schema = Object::new();
        schema.insert("description".to_owned(), map.doc.into());
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), properties.into());
        schema.insert("patternProperties".to_owned(), own_keys());
        schema.insert("additionalProperties".to_owned(), false.into());
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        if !map.one_of.is_empty() {
            let each = map.one_of.iter().map(|key| json!({ "required": [key] }));
            schema.insert("oneOf".to_owned(), each.collect());
        }
        schema
    }

    fn key(&mut self, key: &Key) -> Value {
        let mut schema = Object::new();
        schema.insert("description".to_owned(), description(key).into());
        match key.unsaid {
            Unsaid::Boolean(value) => schema.insert("default".to_owned(), value.into()),
            Unsaid::Integer(value) => schema.insert("default".to_owned(), value.into()),
            Unsaid::Word(word) => schema.insert("default".to_owned(), word.into()),
            Unsaid::Quantity(_) => schema.insert("default".to_owned(), unsaid(key).into()),
            Unsaid::Nothing | Unsaid::Means(_) => None,
        };
        let mut alternatives = self.alternatives(&key.kind);
        if !key.required {
            alternatives.push(json!({ "type": "null" }));
        }
        schema.extend(any_of(alternatives));
        Value::Object(schema)
    }

    fn value(&mut self, kind: &Kind) -> Value {
        Value::Object(any_of(self.alternatives(kind)))
    }

    /// All that a value of this kind may be.
    fn alternatives(&mut self, kind: &Kind) -> Vec<Value> {
        let variable = || reference("variable");
        match *kind {
            Kind::Boolean => vec![json!({ "type": "boolean" }), variable()],
            Kind::Integer { min, max } => {
                vec![json!({ "type": "integer", "minimum": min, "maximum": max }), variable()]
            }
            Kind::Quantity { quantity, .. } => vec![self.quantity(quantity), variable()],
            Kind::Name => vec![reference("name"), variable()],
            Kind::Text => vec![json!({ "type": "string" })],
            Kind::Literal => vec![json!({ "type": ["string", "number", "boolean", "null"] })],
            Kind::OneOf(words) => vec![json!({ "enum": words }), variable()],
            Kind::Map(map) => {
                let reference = self.map_reference(map);
                // Nothing is an empty map.
                let empty = !map.keys().any(|key| key.required) && map.one_of.is_empty();
                let null = empty.then(|| json!({ "type": "null" }));
                std::iter::once(reference).chain(null).collect()
            }
            Kind::List(item) => vec![json!({ "type": "array", "items": self.value(item) })],
            Kind::Named { names, value } => vec![self.named(names, value)],
            Kind::Either(kinds) => kinds.iter().flat_map(|kind| self.alternatives(kind)).collect(),
        }
    }

    fn quantity(&mut self, quantity: Quantity) -> Value {
        let name = match quantity {
            Quantity::Cpus => "cpus",
            _ => quantity.name(),
        };
        self.add(name, || {
            let description = format!("A {}, such as {}.", quantity.name(), quantity.example());
            let text = json!({ "type": "string", "pattern": quantity.pattern() });
            match quantity {
                Quantity::Cpus => json!({
                    "description": description,
                    "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, text],
                }),
                _ => json!({
                    "description": description,
                    "type": "string",
                    "pattern": quantity.pattern(),
                }),
            }
        });
        reference(name)
    }

    fn named(&mut self, names: Names, value: &Kind) -> Value {
        let pattern = format!("^(?!{OWN_KEY_PREFIX}){}$", names_pattern(names));
        let mut patterns = own_keys();
        patterns[pattern] = self.value(value);
        json!({ "type": "object", "patternProperties": patterns, "additionalProperties": false })
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// One alternative stands for itself; equal ones once.
fn any_of(alternatives: Vec<Value>) -> Object<String, Value> {
    let mut distinct: Vec<Value> = Vec::new();
    for alternative in alternatives {
        if !distinct.contains(&alternative) {
            distinct.push(alternative);
        }
    }
    match distinct.as_mut_slice() {
        [Value::Object(only)] => std::mem::take(only),
        _ => Object::from_iter([("anyOf".to_owned(), distinct.into())]),
    }
}

/// Keys that are the file's own may hold anything.
fn own_keys() -> Value {
    json!({ format!("^{OWN_KEY_PREFIX}"): true })
}

/// The regular expression of a name, without anchors.
const fn names_pattern(names: Names) -> &'static str {
    match names {
        Names::Host => "[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        Names::Identifier => "[A-Za-z_][A-Za-z0-9_]*",
    }
}

/// What the key says, its range, and what holds without it.
fn description(key: &Key) -> String {
    let mut text = key.doc.to_owned();
    if let Some((quantity, min, max)) = range(&key.kind) {
        text += &format!(" From {} to {}.", quantity.show(min), quantity.show(max));
    }
    let unsaid = unsaid(key);
    if !unsaid.is_empty() {
        text += &format!(" Without it: {unsaid}.");
    }
    text
}

/// The range of what has a unit, which no keyword of a schema can say.
fn range(kind: &Kind) -> Option<(Quantity, u64, u64)> {
    match *kind {
        Kind::Quantity { quantity, min, max } => Some((quantity, min, max)),
        Kind::List(item) => range(item),
        Kind::Either(kinds) => kinds.iter().find_map(range),
        _ => None,
    }
}

fn unsaid(key: &Key) -> String {
    match (key.unsaid, range(&key.kind)) {
        (Unsaid::Nothing, _) => String::new(),
        (Unsaid::Boolean(value), _) => value.to_string(),
        (Unsaid::Quantity(value), Some((quantity, ..))) => quantity.show(value),
        (Unsaid::Integer(value) | Unsaid::Quantity(value), _) => value.to_string(),
        (Unsaid::Word(text) | Unsaid::Means(text), _) => text.to_owned(),
    }
}
