//! Which peers a run has: the daemon, or the one that has only what
//! docs/peer-contract.md requires.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{Run, dropd};

/// What stands at the ends of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Dropd,
    Reference,
}

impl Peer {
    /// It as a command.
    pub(crate) fn command<const N: usize>(self, arguments: [&str; N]) -> Command {
        match self {
            Self::Dropd => dropd(arguments),
            Self::Reference => {
                let mut command = Command::new(reference_peer());
                command.args(arguments).stdin(Stdio::null());
                command
            }
        }
    }

    /// Has a run start it.
    pub(crate) fn of(self, run: Run) -> Run {
        match self {
            Self::Dropd => run,
            Self::Reference => {
                run.option("--peer-executable", &reference_peer().display().to_string())
            }
        }
    }
}

/// The example `reference-peer`. Cargo builds examples with all tests, and none with
/// `--test topology`: so it is asked to, which is quick when there is nothing to do.
fn reference_peer() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("the test's own path is known");
        // target/<triple>/<profile>/deps/topology-<hash>
        let profile = test.parent().and_then(Path::parent).expect("cargo's layout");
        let triple = profile.parent().and_then(Path::file_name).expect("cargo's layout");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", "reference-peer", "--target"]).arg(triple);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let output = build.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        profile.join("examples/reference-peer")
    })
}
