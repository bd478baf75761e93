//! Small networks out of one range, so that many runs of many peers do not use
//! up the engine's few default ones. Pure.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Smallest network handed out: 13 containers beside the gateway.
const PREFIX_MAX: u8 = 28;

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

/// Text that is not a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not an IPv4 network: {why}; write for example 10.213.0.0/16")]
pub struct SubnetSyntax {
    text: String,
    why: &'static str,
}

impl Subnet {
    /// Whether any address is in both.
    pub const fn overlaps(self, other: Self) -> bool {
        let prefix = if self.prefix < other.prefix { self.prefix } else { other.prefix };
        self.first & mask(prefix) == other.first & mask(prefix)
    }

    /// Bits that all its addresses share; at most 32.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The first address that a host can have; the gateway's by convention.
    pub const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + 1)
    }

    /// Networks of `prefix` bits within this one that overlap none of `taken`,
    /// beginning at the `start`th and going around, each once.
    pub fn free<'a>(
        self,
        prefix: u8,
        taken: &'a [Self],
        start: u32,
    ) -> impl Iterator<Item = Self> + 'a {
        let count = match prefix.checked_sub(self.prefix) {
            Some(bits) if prefix <= 32 => 1_u64 << bits,
            _ => 0,
        };
        let step = 1_u64 << (32 - u32::from(prefix.min(32)));
        (0..count)
            .map(move |turn| (turn + u64::from(start)) % count)
            .filter_map(move |index| {
                let first = u32::try_from(u64::from(self.first) + index * step).ok()?;
                Some(Self { first, prefix })
            })
            .filter(|subnet| !taken.iter().any(|other| subnet.overlaps(*other)))
    }

    /// The prefix of the smallest network that this many containers fit into,
    /// beside gateway, network and broadcast address.
    pub fn prefix_for(containers: usize) -> u8 {
        let addresses = u32::try_from(containers.saturating_add(3)).unwrap_or(u32::MAX);
        let bits = u32::BITS - (addresses - 1).leading_zeros();
        u8::try_from(32 - bits).unwrap_or(0).min(PREFIX_MAX)
    }
}

impl FromStr for Subnet {
    type Err = SubnetSyntax;

    fn from_str(text: &str) -> Result<Self, SubnetSyntax> {
        let syntax = |why| SubnetSyntax { text: text.to_owned(), why };
        let (address, prefix) = text.split_once('/').ok_or_else(|| syntax("there is no /"))?;
        let address: Ipv4Addr = address.parse().map_err(|_| syntax("no address before the /"))?;
        let prefix: u8 = prefix.parse().map_err(|_| syntax("no number after the /"))?;
        if prefix > 32 {
            return Err(syntax("a prefix is at most 32"));
        }
        let first = address.to_bits();
        if first & !mask(prefix) != 0 {
            return Err(syntax("address bits are set behind the prefix"));
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

/// Networks that this machine routes to: `/proc/net/route`, whose addresses are
/// hexadecimal in the byte order of the machine. Each with its interface. The default
/// route is left out.
pub fn parse_routes(text: &str) -> Vec<(Subnet, &str)> {
    text.lines().skip(1).filter_map(parse_route).collect()
}

fn parse_route(line: &str) -> Option<(Subnet, &str)> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let field = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
    let first = u32::from_be(field(1)?);
    let bits = u32::from_be(field(7)?);
    let prefix = u8::try_from(bits.leading_ones()).ok()?;
    let subnet = Subnet { first: first & mask(prefix), prefix };
    (prefix > 0).then_some((subnet, *fields.first()?))
}

const fn mask(prefix: u8) -> u32 {
    match u32::MAX.checked_shl(32 - prefix as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

#[cfg(test)]
mod tests;
