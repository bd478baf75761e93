//! `scenario` and its steps.

use super::super::defaults;
use super::super::units::Quantity;
use super::top::DEADLINE;
use super::{Key, Kind, Map, Unsaid};

/// Ways to ask for bytes.
pub(crate) const MODES: [&str; 3] = ["push", "request-response", "mount"];

/// `scenario`.
pub(crate) static SCENARIO: Map = Map::new(
    "scenario",
    "What is done, in order.",
    &[
        Key::new("deadline", DEADLINE, "A step without an answer for this long fails.")
            .unsaid(Unsaid::Quantity(defaults::STEP_DEADLINE_MS * 1000)),
        Key::new("steps", Kind::List(&Kind::Map(&STEP)), "The steps, in order.").required(),
    ],
);

/// One step.
pub(crate) static STEP: Map = Map::new(
    "step",
    "One thing that is done.",
    &[
        TRANSFER_STEP,
        REKEY_STEP,
        Key::new(
            "parallel",
            Kind::List(&Kind::Map(&PART)),
            "At least two steps at the same time, each over a link of its own.",
        ),
    ],
)
.one_of(&["transfer", "rekey", "parallel"]);

/// One step of `parallel`.
pub(crate) static PART: Map = Map::new(
    "part",
    "One of the things that are done at the same time.",
    &[TRANSFER_STEP, REKEY_STEP],
)
.one_of(&["transfer", "rekey"]);

const TRANSFER_STEP: Key =
    Key::new("transfer", Kind::Map(&TRANSFER), "One peer reads a file of another.");

const REKEY_STEP: Key =
    Key::new("rekey", Kind::Map(&REKEY), "New keys for both directions of a session.");

const NAME: Key = Key::new("name", Kind::Name, "Its name in tables.")
    .unsaid(Unsaid::Means("`step-` and its number"));

/// `transfer`.
pub(crate) static TRANSFER: Map = Map::new(
    "transfer",
    "One peer reads a file of another.",
    &[
        NAME,
        Key::new("from", Kind::Name, "Whose file.").required(),
        Key::new("to", Kind::Name, "Who reads it.").required(),
        Key::new("path", Kind::Text, "Which file of the dataset.").required(),
        Key::new("mode", Kind::OneOf(&MODES), "How its bytes are asked for.").required(),
        Key::new(
            "chunk",
            Kind::size(1, defaults::CHUNK_BYTES_MAX),
            "Bytes of one message, request or read.",
        )
        .unsaid(Unsaid::Means("what the daemon does on its own")),
        Key::new(
            "depth",
            Kind::Integer { min: 1, max: defaults::DEPTH_MAX },
            "Requests in flight; only for `request-response`.",
        )
        .unsaid(Unsaid::Means("what the daemon does on its own")),
        Key::new(
            "lanes",
            Kind::Integer { min: 1, max: defaults::LANES_MAX },
            "Connections that share the bytes; only for `push`.",
        )
        .unsaid(Unsaid::Means("what the daemon does on its own")),
        Key::new(
            "rekey_at",
            Kind::List(&Kind::Quantity { quantity: Quantity::Share, min: 1, max: 999 }),
            "New keys when this much of the bytes has arrived; rising.",
        ),
        Key::new("expect", Kind::Map(&EXPECT), "What has to hold for the step to pass."),
        Key::new("to_file", Kind::Boolean, "Whether the bytes go to disk, and are hashed there.")
            .unsaid(Unsaid::Boolean(false)),
        Key::new("deadline", DEADLINE, "No answer for this long fails the step.")
            .unsaid(Unsaid::Means("the scenario's")),
    ],
);

/// `rekey`.
pub(crate) static REKEY: Map = Map::new(
    "rekey",
    "New keys for both directions of a session.",
    &[
        NAME,
        Key::new("from", Kind::Name, "Who listens.").required(),
        Key::new("to", Kind::Name, "Who dials, and asks for the keys.").required(),
    ],
);

/// `expect`.
pub(crate) static EXPECT: Map = Map::new(
    "expect",
    "What has to hold for the step to pass.",
    &[Key::new(
        "rekeys",
        Kind::Integer { min: 0, max: u32::MAX as u64 },
        "Changes of keys while the bytes flowed, at the least; both directions count.",
    )
    .unsaid(Unsaid::Means("two for each of `rekey_at`"))],
);
