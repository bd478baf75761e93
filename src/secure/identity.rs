//! A peer's long-term X25519 key: the secret in a file, the public half as text.

use std::fmt;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::exchange::KeyPair;

mod text;

pub use text::TextError as PeerIdError;

/// Bytes of an X25519 key, public or secret (RFC 7748).
pub const KEY_BYTES: usize = 32;

/// An identity file is one line; more than this is something else.
const FILE_BYTES_MAX: u64 = 256;

/// First word of an identity file, so that no other file is taken for one.
const FILE_MAGIC: &str = "dropbed-identity-1";

/// Who a peer is: its X25519 public key.
///
/// As text it is 56 lower-case base32 characters (RFC 4648, no padding): the key
/// and a checksum of 24 bits, so that a typing error is told from a wrong key.
///
/// Two ids are compared in constant time: looking through all peers for a stranger
/// takes as long as for a peer that was removed.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct PeerId([u8; KEY_BYTES]);

impl PeerId {
    /// The id of the peer with this public key.
    pub const fn from_bytes(public_key: [u8; KEY_BYTES]) -> Self {
        Self(public_key)
    }

    /// The public key.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl PartialEq for PeerId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for PeerId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode(text::Kind::PeerId, &self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({}..)", &text::encode(text::Kind::PeerId, &self.0)[..8])
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    /// Upper case is accepted; surrounding white space is not.
    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        Ok(Self(*text::decode(text::Kind::PeerId, text)?))
    }
}

/// The secret key of this daemon. Wiped from memory when dropped, never printed.
pub struct Identity {
    secret: Zeroizing<[u8; KEY_BYTES]>,
    id: PeerId,
}

impl Identity {
    /// A new identity from the system's random generator.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(secret.as_mut_slice())
            .map_err(|e| IdentityError::Random { reason: e.to_string() })?;
        Ok(Self::from_secret(secret))
    }

    /// Reads the identity in `path`, or makes one there when there is no file.
    ///
    /// The file appears under its name complete, synced and with mode 0600; when
    /// two processes make it at once, both end up with the same identity.
    ///
    /// # Errors
    /// When the file cannot be read or made, is not an identity, or may be read
    /// by anybody but its owner.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match File::open(path) {
            Ok(file) => return Self::load(file, path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(IdentityError::Read { path: path.into(), source }),
        }
        let identity = Self::generate()?;
        match identity.create(path) {
            Ok(()) => Ok(identity),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let file = File::open(path)
                    .map_err(|source| IdentityError::Read { path: path.into(), source })?;
                Self::load(file, path)
            }
            Err(source) => Err(IdentityError::Create { path: path.into(), source }),
        }
    }

    /// The public half.
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// For the handshake only.
    pub(super) fn secret(&self) -> &[u8; KEY_BYTES] {
        &self.secret
    }

    pub(super) fn from_secret(secret: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let public_key = KeyPair::from_secret(&secret).public();
        Self { secret, id: PeerId(public_key) }
    }

    fn load(file: File, path: &Path) -> Result<Self, IdentityError> {
        let read_failed = |source| IdentityError::Read { path: path.into(), source };
        let metadata = file.metadata().map_err(read_failed)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(IdentityError::TooOpen { path: path.into(), mode });
        }
        let mut content = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut content).map_err(read_failed)?;
        let Some((FILE_MAGIC, secret)) = content.trim_end().split_once(' ') else {
            return Err(IdentityError::NotAnIdentity { path: path.into() });
        };
        let secret = text::decode(text::Kind::Secret, secret)
            .map_err(|source| IdentityError::Damaged { path: path.into(), source })?;
        Ok(Self::from_secret(secret))
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // Made with mode 0600 by open(2) itself, and never named until complete.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        let mut secret = text::encode(text::Kind::Secret, &self.secret);
        let written = writeln!(file, "{FILE_MAGIC} {secret}");
        secret.zeroize();
        written?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|e| e.error)?;
        File::open(directory)?.sync_all()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file could not be made.
    #[error("cannot create the identity file {}: {source}; its directory must exist and be writable", path.display())]
    Create {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file was an identity and is not any more.
    #[error("the identity file {} is damaged: {source}; restore it, or remove it for a new identity (all peers must then pin the new id)", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with the key's text.
        source: PeerIdError,
    },
    /// The file is something else.
    #[error("{} is not an identity file: its first word is not {FILE_MAGIC:?}; name another path", path.display())]
    NotAnIdentity {
        /// Which file.
        path: PathBuf,
    },
    /// The system's generator failed.
    #[error("cannot generate an identity: the system gives no random bytes: {reason}")]
    Random {
        /// The system's words.
        reason: String,
    },
    /// The file could not be read.
    #[error("cannot read the identity file {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("the identity file {} has mode {mode:04o}, others can use the key; run: chmod 600 {}", path.display(), path.display())]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its mode, permission bits only.
        mode: u32,
    },
}

#[cfg(test)]
mod tests;
