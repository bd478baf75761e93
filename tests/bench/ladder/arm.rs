//! The ways from a source in memory to a sink that discards, over TCP between two
//! processes.

use clap::{Args, ValueEnum};

use super::aead::Cipher;
use super::far::Far;

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Way {
    /// A blocking loop of 256 KiB: write, read; sealed and opened with a cipher
    Loop,
    /// The same without blocking, with poll(2) and small socket buffers
    Tuned,
    /// The record layer over TCP
    Stream,
    /// A push through the daemon's own client and limits, from memory
    Push,
    /// The same calls by tonic's generated API, with tonic's own limits
    Stock,
    /// By the same API, with the daemon's limits
    Typed,
    /// The daemon's service: a push of a file in the page cache
    File,
    /// The same file by ranged reads
    Reads,
}

/// What a loop does as the article did before it was improved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Naive {
    /// A cipher object for each record
    Cipher,
    /// Length, ciphertext and tag written one by one
    Writes,
    /// Out of place, into a buffer made for each record
    Buffers,
}

/// One way, with its settings.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arm {
    #[arg(long, value_enum)]
    pub(crate) way: Way,
    #[arg(long, value_enum)]
    pub(crate) cipher: Option<Cipher>,
    #[arg(long, value_enum)]
    pub(crate) naive: Option<Naive>,
    /// Bytes under one key.
    #[arg(long)]
    pub(crate) rekey_bytes: Option<u64>,
    /// Milliseconds between two folds.
    #[arg(long)]
    pub(crate) fold_ms: Option<u64>,
    /// Connections of the session.
    #[arg(long, default_value_t = 1)]
    pub(crate) lanes: u8,
    /// A link between the ends.
    #[arg(long, value_enum)]
    pub(crate) far: Option<Far>,
}

impl Arm {
    pub(crate) const fn plain(way: Way) -> Self {
        Self {
            way,
            cipher: None,
            naive: None,
            rekey_bytes: None,
            fold_ms: None,
            lanes: 1,
            far: None,
        }
    }

    pub(crate) const fn sealed(way: Way, cipher: Cipher) -> Self {
        Self { cipher: Some(cipher), ..Self::plain(way) }
    }

    /// For tables.
    pub(crate) fn name(self) -> String {
        let way = match self.way {
            Way::Loop if self.cipher.is_some() => "sealed loop",
            Way::Loop => "raw TCP loop",
            Way::Tuned if self.cipher.is_some() => "sealed loop, tuned",
            Way::Tuned => "raw TCP loop, tuned",
            Way::Stream => "SecureStream",
            Way::Push => "gRPC push",
            Way::Stock => "gRPC push, tonic as it comes",
            Way::Typed => "gRPC push, typed tonic with our limits",
            Way::File => "gRPC push of a file",
            Way::Reads => "ranged reads of a file, 16 x 512 KiB",
        };
        let cipher = self.cipher.map_or("plain", Cipher::name);
        let mut name = format!("{way}, {cipher}");
        match self.naive {
            Some(Naive::Cipher) => name += ", cipher per record",
            Some(Naive::Writes) => name += ", three writes",
            Some(Naive::Buffers) => name += ", out of place",
            None => {}
        }
        if let Some(bytes) = self.rekey_bytes {
            name += &format!(", rekey every {} KiB", bytes >> 10);
        }
        if let Some(ms) = self.fold_ms {
            name += &format!(", fold every {ms} ms");
        }
        if self.lanes > 1 || self.far.is_some() {
            name += &format!(", lanes {}", self.lanes);
        }
        if let Some(far) = self.far {
            name += &format!(", {}", far.name());
        }
        name
    }

    /// The same on a command line.
    pub(crate) fn arguments(self) -> Vec<String> {
        let mut words = vec!["--way".to_owned(), word(self.way)];
        let mut add = |flag: &str, value: Option<String>| {
            words.extend(value.map(|value| [flag.to_owned(), value]).into_iter().flatten());
        };
        add("--cipher", self.cipher.map(word));
        add("--naive", self.naive.map(word));
        add("--rekey-bytes", self.rekey_bytes.map(|bytes| bytes.to_string()));
        add("--fold-ms", self.fold_ms.map(|ms| ms.to_string()));
        add("--lanes", Some(self.lanes.to_string()));
        add("--far", self.far.map(word));
        words
    }
}

fn word(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("no value is skipped");
    value.get_name().to_owned()
}
