//! The kernel's side of the mount: FUSE requests in, replies out.
//!
//! [`Mount`] mounts and unmounts; its dispatch threads only hand each request to
//! a task of the runtime, which asks [`FileSystem`](crate::fs::FileSystem) and
//! replies from there. No request can hold up another. A reply that is dropped,
//! as when the runtime goes away, is EIO: nothing ever hangs.
//!
//! An application that is killed while it waits leaves only with its reply: fuser
//! has no FUSE_INTERRUPT. The deadlines of [`Remote`](crate::transfer::Remote)
//! are what bounds that wait.

mod adapter;
mod error;
mod init;
mod mount;
mod mounts;
mod readers;
mod translate;
mod trial;

#[cfg(test)]
pub(crate) mod requires;

pub use error::MountError;
pub use mount::{Mount, Options, Unmounted};
pub use mounts::{MountEntry, mounts};
pub use readers::{Readers, Registration};
pub use trial::trial;

#[cfg(test)]
mod tests;
