//! The top of the file, `dataset` and `run`.

use super::super::defaults;
use super::{DEFAULTS, GROUP, Key, Kind, Map, Names, PAIR, PEER, PROFILE, SCENARIO, Unsaid};
use crate::testbed::plan::Entropy;
use crate::testbed::runtime::docker::POOL_DEFAULT;

const VARIABLES: Kind = Kind::Named { names: Names::Identifier, value: &Kind::Literal };

/// The whole file.
pub(crate) static TOPOLOGY: Map = Map::new(
    "topology",
    "Peers, the links between them, and what is done over these.",
    &[
        Key::new(
            "version",
            Kind::Integer { min: defaults::VERSION, max: defaults::VERSION },
            "The version of this schema.",
        )
        .required(),
        Key::new("name", Kind::Name, "Names the topology; part of its run directories' names.")
            .required(),
        Key::new(
            "seed",
            Kind::Integer { min: 0, max: u64::MAX },
            "Everything random comes from it: files, jitter, the order of turns.",
        )
        .unsaid(Unsaid::Integer(defaults::SEED)),
        Key::new(
            "vars",
            VARIABLES,
            "Variables: used as `${name}` or `${name:-default}`, set by `--set name=value`.",
        ),
        Key::new("defaults", Kind::Map(&DEFAULTS), "What all peers share."),
        Key::new(
            "profiles",
            Kind::Named { names: Names::Host, value: &Kind::Map(&PROFILE) },
            "Settings by name, for peers that say `profile: NAME`. A peer's settings are \
             `defaults.peer`, over that its profiles in order (each once, after what it \
             inherits), over that its own: maps merge, lists and single values replace.",
        ),
        Key::new(
            "peers",
            Kind::Named { names: Names::Host, value: &Kind::Map(&PEER) },
            "The daemons, by name.",
        )
        .required(),
        Key::new(
            "links",
            Kind::List(&Kind::Either(&[Kind::Map(&PAIR), Kind::Map(&GROUP)])),
            "Who reaches whom, and what happens to bytes on the way.",
        )
        .required(),
        Key::new("network", Kind::Map(&NETWORK), "Addresses of containers."),
        Key::new(
            "dataset",
            Kind::List(&Kind::Map(&FILE)),
            "Files of seeded random bytes, made before the first step.",
        ),
        Key::new("scenario", Kind::Map(&SCENARIO), "What is done, in order.").required(),
        Key::new(
            "matrix",
            Kind::Named { names: Names::Identifier, value: &Kind::List(&Kind::Literal) },
            "Values that variables of `vars` take: every combination is a cell.",
        ),
        Key::new("run", Kind::Map(&RUN), "How often the cells are carried out, and how."),
    ],
);

/// `network`.
pub(crate) static NETWORK: Map = Map::new(
    "network",
    "Addresses of containers.",
    &[Key::new(
        "range",
        Kind::Text,
        "Where their networks come from, such as `10.0.0.0/16`; each peer has one of its own.",
    )
    .unsaid(Unsaid::Word(POOL_DEFAULT))],
);

/// What stands for the `#` of a path.
pub(crate) const FILE_NAMES: [&str; 2] = ["numbers", "odd"];

const ENTROPIES: [&str; Entropy::ALL.len()] = {
    let [random, text, zeros] = Entropy::ALL;
    [random.name(), text.name(), zeros.name()]
};

/// One file of the dataset, or several alike.
pub(crate) static FILE: Map = Map::new(
    "file",
    "A file that a peer shares, or with `count` as many.",
    &[
        Key::new("peer", Kind::Name, "Whose share it is in.").required(),
        Key::new(
            "path",
            Kind::Text,
            "Its path within the share, such as `films/big.bin`; with `count` or `names`, `#` \
             stands for what tells the files apart: `many/#.bin`.",
        )
        .required(),
        Key::new("size", Kind::size(0, defaults::FILE_BYTES_MAX), "Its size.").required(),
        Key::new(
            "count",
            Kind::Integer { min: 1, max: defaults::FILES_MAX as u64 },
            "So many files, whose numbers stand for the `#` of the path.",
        )
        .unsaid(Unsaid::Means("one file")),
        Key::new("entropy", Kind::OneOf(&ENTROPIES), "What its bytes are like.")
            .unsaid(Unsaid::Word(ENTROPIES[0])),
        Key::new(
            "names",
            Kind::OneOf(&FILE_NAMES),
            "What stands for the `#`: numbers, or names that programs trip over.",
        )
        .unsaid(Unsaid::Word(FILE_NAMES[0])),
    ],
);

/// How the cells are carried out.
pub(crate) static RUN: Map = Map::new(
    "run",
    "How often the cells of the matrix are carried out, and how.",
    &[
        Key::new(
            "repetitions",
            Kind::Integer { min: 1, max: defaults::REPETITIONS_MAX },
            "How often every cell is measured.",
        )
        .unsaid(Unsaid::Integer(defaults::REPETITIONS as u64)),
        Key::new(
            "warmup",
            Kind::Integer { min: 0, max: defaults::REPETITIONS_MAX },
            "How often every cell is carried out before that, without being counted.",
        )
        .unsaid(Unsaid::Integer(defaults::WARMUP as u64)),
        Key::new("order", Kind::OneOf(&ORDERS), "The order of cells within one repetition.")
            .unsaid(ORDER_UNSAID),
        Key::new("deadline", DEADLINE, "The whole run ends after this, with exit code 5.")
            .unsaid(Unsaid::Quantity(defaults::RUN_DEADLINE_MS * 1000)),
    ],
);

/// Orders of cells: the random one first.
pub(crate) const ORDERS: [&str; 2] = ["randomised", "sequential"];

const ORDER_UNSAID: Unsaid = Unsaid::Word(ORDERS[if defaults::RANDOMISED { 0 } else { 1 }]);

/// Any deadline: whole milliseconds.
pub(super) const DEADLINE: Kind = Kind::duration(1000, defaults::DEADLINE_MS_MAX * 1000);
