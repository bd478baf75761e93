//! What an image was made from, by its labels.

use super::{RuntimeError, digest_of, docker, find, own_executable};

/// Hexadecimal digits of a digest that are shown: enough to tell two builds apart.
const DIGEST_CHARS_SHOWN: usize = 12;

/// Which executable an image holds, seen from this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This very one.
    ThisExecutable,
    /// Another `dropbed`.
    Other {
        /// Its version and digest, or that the image says neither, in words.
        found: String,
        /// Those of this executable.
        here: String,
    },
}

/// What the image of that name was made from; none when the engine has no such image.
///
/// # Errors
/// Environment, when no engine answers; Failed, when this executable cannot be read.
pub async fn origin_of(name: &str) -> Result<Option<Origin>, RuntimeError> {
    let docker = docker::connect().await?;
    let Some(image) = find(&docker, name).await? else { return Ok(None) };
    // Whether it is static is not asked here: another image is what runs.
    let here = digest_of(&own_executable()?, None).await?;
    Ok(Some(Origin::of(&image.version, &image.digest, &here)))
}

impl Origin {
    /// By the image's labels, empty where there are none, and the digest of this
    /// executable.
    pub(super) fn of(version: &str, digest: &str, here: &str) -> Self {
        if digest == here {
            return Self::ThisExecutable;
        }
        let found = match (version, short(digest)) {
            ("", "") => "it does not say what it was made from".to_owned(),
            ("", digest) => format!(
                "it was made from a dropbed whose version it does not say (BLAKE3 {digest})"
            ),
            (version, digest) => {
                format!("it was made from dropbed {version} (BLAKE3 {digest})")
            }
        };
        let here = format!("dropbed {} (BLAKE3 {})", env!("CARGO_PKG_VERSION"), short(here));
        Self::Other { found, here }
    }

    /// What to tell who uses the image, on one line; none when it is as it should be.
    pub fn warning(&self, name: &str) -> Option<String> {
        match self {
            Self::ThisExecutable => None,
            Self::Other { found, here } => Some(format!(
                "image {name} is not this executable: {found}, and this is {here}; its daemons \
                 are the ones under test. To test these, unset DROPBED_IMAGE"
            )),
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..DIGEST_CHARS_SHOWN).unwrap_or(digest)
}
