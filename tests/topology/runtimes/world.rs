//! The same run in each runtime.

use std::path::Path;

use tempfile::TempDir;

use crate::support::attached::{Attached, OWNER, READER, leave_alone};
use crate::support::{Need, Peer, Run, has};

/// Where peers and proxy run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Process,
    Docker,
    Attach,
}

impl Where {
    /// The body, when this machine has the runtime.
    pub(super) fn with(self, peer: Peer, body: fn(Self, Peer)) {
        if self != Self::Docker || has(Need::Docker) {
            body(self, peer);
        }
    }

    /// Who serves, and who reads. Attached, a name is the last part of an address;
    /// elsewhere a name of digits would be taken for an address, too.
    pub(super) const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Attach => [OWNER, READER],
            Self::Process | Self::Docker => ["owner", "reader"],
        }
    }

    /// A transfer of the one file; `more` ends with a comma.
    pub(super) fn step(self, name: &str, more: &str) -> String {
        let [owner, reader] = self.names();
        format!(
            "{{ transfer: {{ name: {name}, {more} from: \"{owner}\", to: \"{reader}\", path: f.bin }} }}"
        )
    }

    /// As `--runtime` calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
            Self::Attach => "attach",
        }
    }
}

/// A topology in a file, and what it needs to run over.
pub(super) struct World {
    pub(super) attached: Option<Attached>,
    place: Where,
    peer: Peer,
    directory: TempDir,
    topology: String,
}

impl World {
    /// An owner and a reader, which alone dials, over a link of this shape; the scenario's steps, and what the owner finds in its environment.
    pub(super) fn new(
        place: Where,
        peer: Peer,
        shape: &str,
        steps: &str,
        of_owner: &[(&str, &str)],
    ) -> Self {
        let topology = topology(place, shape, steps, of_owner);
        let attached = (place == Where::Attach)
            .then(|| Attached::start_with(peer, of_owner, leave_alone, false));
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        std::fs::write(directory.path().join("topology.yaml"), &topology)
            .expect("the directory is ours");
        Self { attached, place, peer, directory, topology }
    }

    /// A run of it, not started.
    pub(super) fn run(&self) -> Run {
        match &self.attached {
            Some(attached) => attached.run(&self.topology),
            None => self.peer.of(Run::new(&self.file(), self.place.name())),
        }
    }

    /// Two runs of it at once; not where both would have the same ports.
    pub(super) fn pair(&self) -> [Run; 2] {
        assert_ne!(self.place, Where::Attach, "ports are fixed there");
        Run::pair(&self.file(), self.place.name()).map(|run| self.peer.of(run))
    }

    fn file(&self) -> String {
        let path: &Path = self.directory.path();
        path.join("topology.yaml").display().to_string()
    }
}

fn topology(place: Where, shape: &str, steps: &str, of_owner: &[(&str, &str)]) -> String {
    let [owner, reader] = place.names();
    let environment: Vec<String> =
        of_owner.iter().map(|(name, value)| format!("{name}: \"{value}\"")).collect();
    let environment = environment.join(", ");
    format!(
        "version: 1\n\
         name: runtimes\n\
         defaults: {{ peer: {{ mount: false }} }}\n\
         peers: {{ \"{owner}\": {{ environment: {{ {environment} }} }}, \"{reader}\": {{}} }}\n\
         links:\n\
         \x20 - {{ a: \"{reader}\", b: \"{owner}\", dial: a, both: {shape} }}\n\
         dataset:\n\
         \x20 - {{ peer: \"{owner}\", path: f.bin, size: {FILE_BYTES}B }}\n\
         scenario:\n\
         \x20 steps: [{steps}]\n"
    )
}

/// Size of the one file.
pub(super) const FILE_BYTES: u64 = 2 << 20;
