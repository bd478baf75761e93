//! Quantities with units. Nothing is guessed: not bits against bytes, not 1000
//! against 1024, and a bare number is an error.

use std::fmt;

/// Why a text is not the quantity it should be, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub hint: String,
}

/// What a key of the topology measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    /// Processors, counted: the only one without a unit. Thousandths.
    Cpus,
    /// Microseconds.
    Duration,
    /// Bits per second.
    Rate,
    /// Thousandths.
    Share,
    /// Bytes.
    Size,
}

impl Quantity {
    /// The number of smallest units.
    pub(crate) fn parse(self, text: &str) -> Result<u64, UnitError> {
        match self {
            Self::Cpus => cpus_milli(text),
            Self::Duration => duration_us(text),
            Self::Rate => rate_bits_per_s(text),
            Self::Share => share_permille(text),
            Self::Size => size_bytes(text),
        }
    }

    /// A number of smallest units as a person writes it.
    pub(crate) fn show(self, value: u64) -> String {
        match self {
            Self::Cpus => CpusMilli(value).to_string(),
            Self::Duration => DurationUs(value).to_string(),
            Self::Rate => RateBits(value).to_string(),
            Self::Share => format!("{}.{}%", value / 10, value % 10),
            Self::Size => SizeBytes(value).to_string(),
        }
    }

    /// As messages and the schema call it.
    pub(crate) const fn name(self) -> &'static str {
        self.kind().name
    }

    /// Right spellings, in words.
    pub(crate) const fn example(self) -> &'static str {
        self.kind().example
    }

    /// A regular expression (ECMA 262) of right spellings.
    pub(crate) fn pattern(self) -> String {
        let units: Vec<&str> = self.kind().units.iter().map(|(name, _)| *name).collect();
        let unit =
            if units.is_empty() { String::new() } else { format!(" *({})", units.join("|")) };
        format!("^[0-9]+(\\.[0-9]+)?{unit}$")
    }

    const fn kind(self) -> &'static Kind {
        match self {
            Self::Cpus => &CPUS,
            Self::Duration => &DURATION,
            Self::Rate => &RATE,
            Self::Share => &SHARE,
            Self::Size => &SIZE,
        }
    }
}

/// One unit and how many of the smallest unit it is.
type Unit = (&'static str, u64);

struct Kind {
    /// As messages call it.
    name: &'static str,
    /// A right spelling.
    example: &'static str,
    /// The two likeliest units of a number without one.
    likely: [&'static str; 2],
    units: &'static [Unit],
    /// The smallest units in one result unit.
    resolution: u64,
    /// What a remainder is called.
    too_fine: &'static str,
}

const DURATION: Kind = Kind {
    name: "duration",
    example: "`50ms` or `1.5s`",
    likely: ["ms", "s"],
    units: &[
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("min", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ],
    resolution: 1_000,
    too_fine: "is finer than a microsecond",
};

const SIZE: Kind = Kind {
    name: "size",
    example: "`64MiB` (1024) or `64MB` (1000)",
    likely: ["MiB", "B"],
    units: &[
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ],
    resolution: 1,
    too_fine: "is not a whole number of bytes",
};

const RATE: Kind = Kind {
    name: "rate",
    example: "`100Mbit/s` or `12.5MB/s`",
    likely: ["Mbit/s", "MB/s"],
    units: &[
        ("bit/s", 1),
        ("kbit/s", 1_000),
        ("Mbit/s", 1_000_000),
        ("Gbit/s", 1_000_000_000),
        ("B/s", 8),
        ("kB/s", 8_000),
        ("MB/s", 8_000_000),
        ("GB/s", 8_000_000_000),
        ("KiB/s", 8 << 10),
        ("MiB/s", 8 << 20),
        ("GiB/s", 8 << 30),
    ],
    resolution: 1,
    too_fine: "is not a whole number of bits per second",
};

const SHARE: Kind = Kind {
    name: "share",
    example: "`50%` or `12.5%`",
    likely: ["%", "%"],
    units: &[("%", 10)],
    resolution: 1,
    too_fine: "is finer than a tenth of a percent",
};

const CPUS: Kind = Kind {
    name: "number of processors",
    example: "`0.5` or `2`",
    likely: ["", ""],
    units: &[],
    resolution: 1,
    too_fine: "is finer than a thousandth of a processor",
};

/// A duration in whole microseconds: `50ms`, `1.5s`, `200us`, `2min`.
pub fn duration_us(text: &str) -> Result<u64, UnitError> {
    quantity(text, &DURATION)
}

/// A size in bytes: `64MiB`, `1GB`, `100B`; binary and decimal told apart.
pub fn size_bytes(text: &str) -> Result<u64, UnitError> {
    quantity(text, &SIZE)
}

/// A rate in bits per second: `100Mbit/s`, `12.5MB/s`.
pub fn rate_bits_per_s(text: &str) -> Result<u64, UnitError> {
    quantity(text, &RATE)
}

/// A share in thousandths: `50%` is 500.
pub fn share_permille(text: &str) -> Result<u64, UnitError> {
    quantity(text, &SHARE)
}

/// Processors in thousandths: `0.5` is 500. They are counted, so there is no unit.
pub fn cpus_milli(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let unsigned = text.strip_prefix('-');
    let (number, unit) = split(unsigned.unwrap_or(text));
    let Some(decimal) = Decimal::parse(number) else {
        return Err(CPUS.error(format!("`{text}` is not a {}", CPUS.name)));
    };
    if !unit.is_empty() {
        return Err(CPUS.error(format!("`{text}`: processors are counted, without a unit")));
    }
    if unsigned.is_some() {
        return Err(CPUS.error(format!("`{text}` is negative")));
    }
    decimal.scaled(1000, &CPUS, text)
}

/// Microseconds in the largest unit that is exact.
#[derive(Clone, Copy, Debug)]
pub struct DurationUs(pub u64);

impl fmt::Display for DurationUs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = [("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];
        match exact.into_iter().find(|(_, us)| self.0 != 0 && self.0.is_multiple_of(*us)) {
            Some((unit, us)) => write!(f, "{}{unit}", self.0 / us),
            None => f.write_str("0ms"),
        }
    }
}

/// Bits per second in the largest decimal unit that is exact.
#[derive(Clone, Copy, Debug)]
pub struct RateBits(pub u64);

impl fmt::Display for RateBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000)];
        match exact.into_iter().find(|(_, bits)| self.0 != 0 && self.0.is_multiple_of(*bits)) {
            Some((unit, bits)) => write!(f, "{}{unit}", self.0 / bits),
            None => write!(f, "{}bit/s", self.0),
        }
    }
}

/// Thousandths of a processor, as processors.
#[derive(Clone, Copy, Debug)]
pub struct CpusMilli(pub u64);

impl fmt::Display for CpusMilli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1000, self.0 % 1000);
        if thousandths == 0 {
            return write!(f, "{whole}");
        }
        let decimals = format!("{thousandths:03}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// Bytes in the largest binary unit that is exact.
#[derive(Clone, Copy, Debug)]
pub struct SizeBytes(pub u64);

impl fmt::Display for SizeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match exact.into_iter().find(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes)) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}B", self.0),
        }
    }
}

fn quantity(text: &str, kind: &Kind) -> Result<u64, UnitError> {
    let text = text.trim();
    let unsigned = text.strip_prefix('-');
    let (number, unit) = split(unsigned.unwrap_or(text));
    let Some(decimal) = Decimal::parse(number) else {
        return Err(kind.error(format!("`{text}` is not a {}", kind.name)));
    };
    if unit.is_empty() {
        return Err(kind.bare(text, number));
    }
    let Some((_, factor)) = kind.units.iter().find(|(name, _)| *name == unit) else {
        return Err(kind.unknown_unit(text, number, unit));
    };
    if unsigned.is_some() {
        return Err(kind.error(format!("`{text}` is negative")));
    }
    decimal.scaled(*factor, kind, text)
}

/// The digits and points at the start, and the unit after them.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

impl Kind {
    fn error(&self, message: String) -> UnitError {
        UnitError { message, hint: format!("write a {} such as {}", self.name, self.example) }
    }

    fn bare(&self, text: &str, number: &str) -> UnitError {
        let [first, second] = self.likely;
        let hint = if first == second {
            format!("write `{number}{first}`")
        } else {
            format!("write `{number}{first}` or `{number}{second}`, whichever is meant")
        };
        UnitError { message: format!("`{text}` has no unit"), hint }
    }

    fn unknown_unit(&self, text: &str, number: &str, unit: &str) -> UnitError {
        let message = format!("`{text}` is not a {}: there is no unit `{unit}`", self.name);
        // Only the case is wrong, or the unit is short for more than one.
        let plain = |name: &str| name.to_lowercase().replace("ib", "b").replace("bit", "b");
        let wanted = plain(unit);
        let alike: Vec<String> = self
            .units
            .iter()
            .filter(|(name, _)| {
                let name = plain(name);
                name == wanted || name.trim_end_matches("/s").trim_end_matches('b') == wanted
            })
            .map(|(name, _)| format!("`{number}{name}`"))
            .collect();
        let hint = if alike.is_empty() {
            format!("write a {} such as {}", self.name, self.example)
        } else {
            format!("write {}", alike.join(" or "))
        };
        UnitError { message, hint }
    }
}

enum Decimal {
    Exact(Digits),
    TooLong,
}

/// A decimal number, exactly: `mantissa / 10^decimals`.
struct Digits {
    mantissa: u128,
    decimals: u32,
}

enum ScaleError {
    TooFine,
    TooLarge,
}

impl Decimal {
    /// As many as the largest result has; 10^20 times the largest factor stays
    /// within 128 bits.
    const DIGITS_MAX: usize = 20;

    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || digits.contains('.') {
            return None;
        }
        if digits.len() > Self::DIGITS_MAX {
            return Some(Self::TooLong);
        }
        let mantissa = digits.parse().ok()?;
        let decimals = u32::try_from(fraction.len()).ok()?;
        Some(Self::Exact(Digits { mantissa, decimals }))
    }

    /// This many times `factor`, in `kind`'s result unit; `text` is for messages.
    fn scaled(self, factor: u64, kind: &Kind, text: &str) -> Result<u64, UnitError> {
        match self {
            Self::Exact(decimal) => decimal.scale(factor, kind.resolution),
            Self::TooLong => Err(ScaleError::TooLarge),
        }
        .map_err(|error| match error {
            ScaleError::TooFine => kind.error(format!("`{text}` {}", kind.too_fine)),
            ScaleError::TooLarge => kind.error(format!("`{text}` is larger than can be counted")),
        })
    }
}

impl Digits {
    /// `self * factor / resolution`, if that is a whole number that fits.
    fn scale(&self, factor: u64, resolution: u64) -> Result<u64, ScaleError> {
        let scaled = self.mantissa * u128::from(factor);
        let divisor = 10_u128.pow(self.decimals) * u128::from(resolution);
        if !scaled.is_multiple_of(divisor) {
            return Err(ScaleError::TooFine);
        }
        u64::try_from(scaled / divisor).map_err(|_| ScaleError::TooLarge)
    }
}

#[cfg(test)]
mod tests;
