//! `links`: pairs and groups of them, and what happens to bytes on the way.

use super::super::defaults;
use super::super::units::Quantity;
use super::{Key, Kind, Map, Unsaid};

/// Names of presets, as `decode::links::preset` describes them.
pub(crate) const PRESETS: [&str; 5] = ["lan", "wifi", "dsl", "lte", "intercontinental"];

/// Who dials between `a` and `b`.
pub(crate) const DIALS: [&str; 3] = ["both", "a", "b"];

/// Who shares a rate.
pub(crate) const RATE_SCOPES: [&str; 2] = ["link", "connection"];

/// What `rate` says to take a rate off again.
pub(crate) const UNLIMITED: &str = "unlimited";

/// What happens to the bytes of one direction.
pub(crate) static WAY_SHAPE: Map = Map::new(
    "way",
    "What happens to the bytes of one direction.",
    &[
        Key::new("preset", Kind::OneOf(&PRESETS), "A network by name; other keys go over it."),
        Key::new("latency", LATENCY, "Delay of each way."),
        Key::new("jitter", LATENCY, "Deviation of the delay to both sides; at most the delay."),
        Key::new(
            "rate",
            Kind::Either(&[
                Kind::Quantity {
                    quantity: Quantity::Rate,
                    min: defaults::RATE_BITS_PER_S_MIN,
                    max: defaults::RATE_BITS_PER_S_MAX,
                },
                Kind::OneOf(&[UNLIMITED]),
            ]),
            "Bytes of each way per second, whole ones.",
        )
        .unsaid(Unsaid::Word(UNLIMITED)),
        Key::new(
            "rate_scope",
            Kind::OneOf(&RATE_SCOPES),
            "Who shares the rate: all bytes of that way, or nobody.",
        )
        .unsaid(Unsaid::Word(RATE_SCOPES[0])),
    ],
);

const LATENCY: Kind = Kind::duration(0, defaults::LATENCY_US_MAX);

/// The same for both directions, which have a round trip together.
pub(crate) static BOTH_SHAPE: Map = Map::new(
    "shape",
    "What happens to the bytes of both directions.",
    &[Key::new(
        "rtt",
        Kind::duration(0, 2 * defaults::LATENCY_US_MAX),
        "Delay there and back; half of it each way. Instead of `latency`.",
    )],
)
.with(&WAY_SHAPE);

/// Two peers.
pub(crate) static PAIR: Map = Map::new(
    "link",
    "A link between two peers.",
    &[
        Key::new("a", Kind::Name, "One peer; the slow side of a preset that has one.").required(),
        Key::new("b", Kind::Name, "The other peer.").required(),
        Key::new("dial", Kind::OneOf(&DIALS), "Who dials, and so who can read.")
            .unsaid(Unsaid::Word(DIALS[0])),
        Key::new("both", Kind::Map(&BOTH_SHAPE), "Both directions."),
        Key::new("a_to_b", Kind::Map(&WAY_SHAPE), "Bytes from a to b; goes over `both`."),
        Key::new("b_to_a", Kind::Map(&WAY_SHAPE), "Bytes from b to a; goes over `both`."),
    ],
);

/// Many pairs that are shaped alike.
pub(crate) static GROUP: Map = Map::new(
    "links",
    "Links between many peers, all alike.",
    &[
        Key::new("full_mesh", Kind::Map(&FULL_MESH), "Everybody with everybody."),
        Key::new("star", Kind::Map(&STAR), "One peer with all others."),
        Key::new(
            "ring",
            Kind::Map(&NEIGHBOURS),
            "Each peer with the next, and the last with the first; at least three.",
        ),
        Key::new("line", Kind::Map(&NEIGHBOURS), "Each peer with the next."),
        Key::new("tree", Kind::Map(&TREE), "Each peer with its parent; the first is the root."),
    ],
)
.one_of(&["full_mesh", "star", "ring", "line", "tree"]);

/// Who is in a group.
const MEMBERS: Key = Key::new(
    "peers",
    Kind::List(&Kind::Name),
    "Who is in it, in this order; the name before their numbers stands for all that `count` makes.",
)
.unsaid(Unsaid::Means("all peers"));

/// `full_mesh`.
pub(crate) static FULL_MESH: Map =
    Map::new("full_mesh", "Everybody with everybody.", &[MEMBERS]).with(&BOTH_SHAPE);

/// `star`.
pub(crate) static STAR: Map = Map::new(
    "star",
    "One peer with all others, each of which is the slow side of a preset that has one.",
    &[
        MEMBERS,
        Key::new("hub", Kind::Name, "The peer in the middle.").required(),
        Key::new("to_hub", Kind::Map(&WAY_SHAPE), "Bytes to the hub; goes over the other keys."),
        Key::new("from_hub", Kind::Map(&WAY_SHAPE), "Bytes from it; goes over the other keys."),
    ],
)
.with(&BOTH_SHAPE);

/// `ring` and `line`.
pub(crate) static NEIGHBOURS: Map = Map::new(
    "neighbours",
    "Each peer with the next.",
    &[
        MEMBERS,
        Key::new("forward", Kind::Map(&WAY_SHAPE), "Bytes to the next; goes over the other keys."),
        Key::new(
            "backward",
            Kind::Map(&WAY_SHAPE),
            "Bytes to the one before; goes over the other keys.",
        ),
    ],
)
.with(&BOTH_SHAPE);

/// `tree`.
pub(crate) static TREE: Map = Map::new(
    "tree",
    "Each peer with its parent, for which it is the slow side of a preset that has one.",
    &[
        MEMBERS,
        Key::new(
            "arity",
            Kind::Integer { min: 1, max: defaults::PEERS_MAX as u64 },
            "Children of each peer, until there are no more.",
        )
        .unsaid(Unsaid::Integer(defaults::TREE_ARITY)),
        Key::new(
            "to_root",
            Kind::Map(&WAY_SHAPE),
            "Bytes to the parent; goes over the other keys.",
        ),
        Key::new(
            "from_root",
            Kind::Map(&WAY_SHAPE),
            "Bytes from the parent; goes over the other keys.",
        ),
    ],
)
.with(&BOTH_SHAPE);
