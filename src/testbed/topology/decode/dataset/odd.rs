//! Names that are right for Linux and that programs trip over all the same.

use crate::testbed::plan::seed::derive;
use crate::testbed::topology::defaults::PATH_NAME_BYTES_MAX;

/// Where a name's number and chance go, which make it the only one of its kind.
const PLACE: &str = "{}";

/// What is odd about a name.
const KINDS: [&str; 12] = [
    "two  blanks {}.bin",
    "Größe \u{65e5}\u{672c}\u{8a9e} \u{1f98a} {}",
    "it's \"quoted\" `twice` {}",
    "--help -rf {}",
    LONG,
    "line\nbreak and\ttab {}",
    // The same letter twice, as one character and as two.
    "\u{e9}e\u{301} {}",
    "$(echo no) & ; | < > * ? [{}]",
    " blank at both ends {} ",
    ".hidden.{}~",
    "back\\slash %2F%00 C:{} \\n",
    // From right to left, and a mark that turns the rest around.
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}{} \u{feff}",
];

/// Is filled up to the longest name.
const LONG: &str = "long-{}-";

/// The odd names of one entry.
#[derive(Debug)]
pub(super) struct Names {
    seed: u64,
}

impl Names {
    /// Another entry, peer or seed has others.
    pub(super) fn new(seed: u64, peer: &str, path: &str) -> Self {
        Self { seed: derive(seed, &["odd names", peer, path]) }
    }

    /// The name of that number: of each kind in turn.
    pub(super) fn name(&self, number: u64) -> String {
        let kinds = KINDS.len() as u64;
        let kind = KINDS[usize::try_from(number % kinds).expect("there are few kinds")];
        let chance = derive(self.seed, &["name", &number.to_string()]) & 0xffff;
        let mut name = kind.replacen(PLACE, &format!("{number}-{chance:04x}"), 1);
        if kind == LONG {
            let missing = PATH_NAME_BYTES_MAX.saturating_sub(name.len());
            name.extend(std::iter::repeat_n('x', missing));
        }
        name
    }
}
