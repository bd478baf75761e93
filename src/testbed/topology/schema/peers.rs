//! `defaults`, `profiles` and `peers`.

use super::super::defaults;
use super::super::units::Quantity;
use super::{Key, Kind, Map, Names, Unsaid};

/// `defaults`.
pub(crate) static DEFAULTS: Map = Map::new(
    "defaults",
    "What holds where nothing else is said.",
    &[Key::new("peer", Kind::Map(&SETTINGS), "Settings of every peer, beneath all others.")],
);

/// What a peer can be told, wherever it is told.
pub(crate) static SETTINGS: Map = Map::new(
    "settings",
    "Settings of a peer.",
    &[
        Key::new("mount", Kind::Boolean, "Whether the other peers' shares are mounted there.")
            .unsaid(Unsaid::Boolean(defaults::PEER_MOUNT)),
        Key::new(
            "privileged",
            Kind::Boolean,
            "Whether its container has all rights, rather than the least that FUSE needs.",
        )
        .unsaid(Unsaid::Boolean(defaults::PEER_PRIVILEGED)),
        Key::new(
            "rekey_bytes",
            Kind::size(defaults::REKEY_BYTES_MIN, defaults::REKEY_BYTES_MAX),
            "New keys for a direction after this many bytes.",
        )
        .unsaid(Unsaid::Means("as often as the daemon does on its own")),
        Key::new(
            "environment",
            Kind::Named { names: Names::Identifier, value: &Kind::Literal },
            "Further environment of the daemon. What the testbed sets itself is refused.",
        ),
        Key::new("resources", Kind::Map(&RESOURCES), "What it may use of the machine."),
        Key::new("volumes", Kind::Map(&VOLUMES), "What lies beneath its directories."),
    ],
);

const PROFILES: Kind = Kind::Either(&[Kind::Name, Kind::List(&Kind::Name)]);

/// One of `profiles`.
pub(crate) static PROFILE: Map = Map::new(
    "profile",
    "Settings by name.",
    &[Key::new(
        "profile",
        PROFILES,
        "Profiles that this one inherits, the later over the earlier.",
    )],
)
.with(&SETTINGS);

/// One of `peers`.
pub(crate) static PEER: Map = Map::new(
    "peer",
    "A daemon.",
    &[
        Key::new("profile", PROFILES, "Profiles that it takes, the later over the earlier."),
        Key::new(
            "count",
            Kind::Integer { min: 1, max: defaults::PEERS_MAX as u64 },
            "Makes this many alike, called `name-0` and so on.",
        )
        .unsaid(Unsaid::Means("one, called as it is")),
    ],
)
.with(&SETTINGS);

/// `resources`.
pub(crate) static RESOURCES: Map = Map::new(
    "resources",
    "What a peer may use of the machine, where the runtime can hold it to that.",
    &[
        Key::new(
            "cpus",
            Kind::Quantity {
                quantity: Quantity::Cpus,
                min: defaults::CPUS_MILLI_MIN,
                max: defaults::CPUS_MILLI_MAX,
            },
            "Processors, such as `0.5`.",
        )
        .unsaid(Unsaid::Means("all there are")),
        Key::new(
            "memory",
            Kind::size(defaults::MEMORY_BYTES_MIN, defaults::MEMORY_BYTES_MAX),
            "Memory; a peer that takes more is ended by the kernel.",
        )
        .unsaid(Unsaid::Means("all there is")),
    ],
);

/// The word for what lies on the run's own disk.
pub(crate) const DISK: &str = "disk";

const BENEATH: Kind = Kind::Either(&[Kind::OneOf(&[DISK]), Kind::Map(&VOLUME)]);

/// `volumes`.
pub(crate) static VOLUMES: Map = Map::new(
    "volumes",
    "What lies beneath a peer's directories.",
    &[
        Key::new("share", BENEATH, "Beneath what it serves.").unsaid(Unsaid::Word(DISK)),
        Key::new("state", BENEATH, "Beneath its identity, cache and downloads.")
            .unsaid(Unsaid::Word(DISK)),
    ],
);

/// What lies beneath one directory, if it is not the run's own disk.
pub(crate) static VOLUME: Map = Map::new(
    "volume",
    "Memory of the run's own, or a directory of the machine.",
    &[
        Key::new(
            "memory",
            Kind::size(defaults::VOLUME_MEMORY_BYTES_MIN, defaults::VOLUME_MEMORY_BYTES_MAX),
            "Memory of the run's own, full at this size.",
        ),
        Key::new("directory", Kind::Text, "A directory of the machine, which stays: absolute."),
        Key::new("read_only", Kind::Boolean, "Whether the peer may only read the directory.")
            .unsaid(Unsaid::Boolean(false)),
    ],
)
.one_of(&["memory", "directory"]);
