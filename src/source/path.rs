//! Paths from the wire, checked once and then carried as their own type.

use std::fmt;

/// Longest path, in bytes (PATH_MAX less its NUL).
pub const PATH_BYTES_MAX: usize = 4095;

/// Longest name within a path, in bytes (NAME_MAX).
pub const NAME_BYTES_MAX: usize = 255;

/// A path within a share: `/` between names, none of them empty, `.` or `..`, no
/// NUL. Empty: the share itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharePath(String);

impl SharePath {
    /// The share itself.
    pub const ROOT: Self = Self(String::new());

    /// Checks a path from the wire.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if !text.is_empty() {
            text.split('/').try_for_each(check_name)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The checked text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name; empty for the share itself.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The path of `name`, which must be a checked name, in this directory.
    pub(super) fn join(&self, name: &str) -> Self {
        debug_assert!(check_name(name).is_ok(), "a directory holds {name:?}");
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }
}

impl fmt::Display for SharePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks one name of a path: what a peer says its directory holds, as much as
/// what it asks for.
pub fn check_name(name: &str) -> Result<(), PathError> {
    match name {
        "" => Err(PathError::EmptyName),
        "." | ".." => Err(PathError::DotName),
        _ if name.len() > NAME_BYTES_MAX => Err(PathError::TooLong),
        _ if name.contains('\0') => Err(PathError::Nul),
        _ if name.contains('/') => Err(PathError::Slash),
        _ => Ok(()),
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `.` and `..` are not names here.
    #[error("a path may not contain . or ..")]
    DotName,
    /// A leading, trailing or double slash.
    #[error("a path may not start or end with / nor contain //")]
    EmptyName,
    /// No file name contains it.
    #[error("a path may not contain NUL")]
    Nul,
    /// A single name was asked for.
    #[error("a name may not contain /")]
    Slash,
    /// The path or one of its names.
    #[error("a path may have {PATH_BYTES_MAX} bytes, each name {NAME_BYTES_MAX}")]
    TooLong,
}
