//! JSON as Go's decoder reads it: names of members in any case, null for what is
//! left out, and nothing after the value is looked at.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

use super::super::api::{ProxySpec, ProxyUpdate, ToxicDraft, ToxicUpdate};

/// What a request's body is read as.
pub(super) trait Input: Sized {
    /// Longest text.
    const BYTES_MAX: usize;

    /// Reads the first value in `text`.
    fn read(text: &[u8]) -> serde_json::Result<Self>;
}

/// One proxy or toxic with names of a path's length fits many times over.
const ONE_BYTES_MAX: usize = 64 * 1024;
/// Thousands of proxies.
const MANY_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Input for ProxySpec {
    const BYTES_MAX: usize = ONE_BYTES_MAX;

    fn read(text: &[u8]) -> serde_json::Result<Self> {
        folded(text)
    }
}

impl Input for Vec<ProxySpec> {
    const BYTES_MAX: usize = MANY_BYTES_MAX;

    fn read(text: &[u8]) -> serde_json::Result<Self> {
        let read: Option<Vec<Option<Folded<ProxySpec>>>> = first(text)?;
        let specs = read.unwrap_or_default().into_iter();
        Ok(specs.map(|spec| spec.map_or_else(ProxySpec::default, |Folded(spec)| spec)).collect())
    }
}

impl Input for ProxyUpdate {
    const BYTES_MAX: usize = ONE_BYTES_MAX;

    fn read(text: &[u8]) -> serde_json::Result<Self> {
        folded(text)
    }
}

impl Input for ToxicDraft {
    const BYTES_MAX: usize = ONE_BYTES_MAX;

    fn read(text: &[u8]) -> serde_json::Result<Self> {
        let draft: Self = folded(text)?;
        Ok(Self { attributes: draft.attributes.map(fold_keys), ..draft })
    }
}

impl Input for ToxicUpdate {
    const BYTES_MAX: usize = ONE_BYTES_MAX;

    fn read(text: &[u8]) -> serde_json::Result<Self> {
        let update: Self = folded(text)?;
        Ok(Self { attributes: update.attributes.map(fold_keys), ..update })
    }
}

fn folded<'de, T: Deserialize<'de> + Default>(text: &'de [u8]) -> serde_json::Result<T> {
    let read: Option<Folded<T>> = first(text)?;
    Ok(read.map_or_else(T::default, |Folded(value)| value))
}

fn first<'de, T: Deserialize<'de>>(text: &'de [u8]) -> serde_json::Result<T> {
    T::deserialize(&mut serde_json::Deserializer::from_slice(text))
}

fn fold_keys(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
}

/// A struct whose members' names are read in any case.
struct Folded<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Folded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(Folding(deserializer)).map(Self)
    }
}

/// Around a deserializer, a visitor or a map: keys come out in lower case.
struct Folding<T>(T);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Folding<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(FoldingVisitor(visitor, PhantomData))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
        identifier ignored_any
    }
}

struct FoldingVisitor<'de, V>(V, PhantomData<&'de ()>);

impl<'de, V: Visitor<'de>> Visitor<'de> for FoldingVisitor<'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Folding(map))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Folding<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some(key) = self.0.next_key::<String>()? else { return Ok(None) };
        let key: StringDeserializer<A::Error> = key.to_ascii_lowercase().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests;
