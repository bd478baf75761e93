//! Whether text is coloured.

use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether what is written there is read by a person who did not ask for it plain, by
/// `NO_COLOR` with any value but the empty one (<https://no-color.org>).
pub fn is_wanted(stream: &impl IsTerminal) -> bool {
    decide(std::env::var_os("NO_COLOR").as_deref(), stream.is_terminal())
}

fn decide(no_color: Option<&OsStr>, is_terminal: bool) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::decide;

    #[test]
    fn plain_when_asked_for_and_where_nobody_looks() {
        for (no_color, is_terminal, is_wanted) in [
            (None, true, true),
            (Some(""), true, true),
            (Some("0"), true, false),
            (Some("1"), true, false),
            (None, false, false),
        ] {
            let decided = decide(no_color.map(AsRef::as_ref), is_terminal);
            assert_eq!(decided, is_wanted, "{no_color:?} {is_terminal}");
        }
    }
}
