//! The commands that are measured, and what they are given.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use dropbed::telemetry::clock;

/// Where peers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    Process,
    Docker,
}

impl Runtime {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
        }
    }
}

/// The executable under test.
pub(crate) fn dropbed(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropbed"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Wall time of a whole command, in seconds, which must end well.
pub(crate) fn timed(command: &mut Command) -> anyhow::Result<f64> {
    let start_ns = clock::now_ns();
    let output = command.output().context("cannot start dropbed")?;
    let wall_s = Duration::from_nanos(clock::now_ns() - start_ns).as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(wall_s)
}

/// Files of one figure; removed with it.
#[derive(Debug)]
pub(crate) struct Bench(tempfile::TempDir);

impl Bench {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir().context("cannot make a directory")?))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A hub and rays, all with a mount, on links without delay, and one file that
    /// crosses one of them.
    pub(crate) fn star(&self, peers: usize) -> anyhow::Result<PathBuf> {
        let mut text = format!("version: 1\nname: star-{peers}\npeers:\n  hub: {{}}\n");
        writeln!(text, "  ray: {{ count: {} }}", peers - 1)?;
        text += "links:\n  - star: { hub: hub, rtt: 0ms }\n";
        text += "dataset:\n  - { peer: hub, path: f.bin, size: 1MiB }\n";
        text += "scenario:\n  steps:\n";
        text += "    - transfer: { name: t, from: hub, to: ray-0, path: f.bin, mode: mount }\n";
        self.write(&format!("star-{peers}.yaml"), &text)
    }

    /// Everybody with everybody.
    pub(crate) fn mesh(&self, peers: usize) -> anyhow::Result<PathBuf> {
        let text = format!(
            "version: 1\nname: mesh-{peers}\npeers:\n  p: {{ count: {peers}, mount: false }}\n\
             links:\n  - full_mesh: {{ rtt: 20ms }}\n\
             dataset:\n  - {{ peer: p-0, path: f.bin, size: 1MiB }}\n\
             scenario:\n  steps:\n\
             \x20   - transfer: {{ name: t, from: p-0, to: p-1, path: f.bin, mode: push }}\n"
        );
        self.write(&format!("mesh-{peers}.yaml"), &text)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// A path as an argument; temporary paths are text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories and our names are UTF-8")
}
