//! Whatever stands in the file: diagnostics that can be shown, no panic.

use proptest::prelude::*;

use super::{GOOD, Topology};
use crate::testbed::plan::plan;
use crate::testbed::topology::Diagnostics;
use crate::testbed::topology::source::Span;

/// Every topology that ships, and the ones that have every key.
fn good() -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/topologies");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut texts: Vec<String> = yaml.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    texts.sort();
    texts.push(GOOD.to_owned());
    texts.push(crate::testbed::topology::schema::tests::EVERYTHING.to_owned());
    texts
}

/// One change to the lines of a text.
#[derive(Clone, Debug)]
enum Change {
    Delete(usize),
    Duplicate(usize, usize),
    Swap(usize, usize),
    Indent(usize, usize),
    Insert(usize, usize, String),
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let line = 0_usize..200;
    // What YAML gives a meaning to, and what topologies do.
    let piece = "[ {}\\[\\],:&*?|>!%@`'\"#\t\r\n$\u{e9}\u{1f600}\u{feff}\u{85}\u{2028}a0-]{1,6}";
    let piece = prop_oneof![
        piece.prop_map(|piece| piece),
        prop::sample::select(vec![
            "${rtt}",
            "${",
            "x-a: &a ",
            "*a",
            "<<: ",
            "- ",
            "---\n",
            "...\n",
            "~",
            "profile: a, ",
            "count: 3, ",
            "!!str ",
            "? ",
            "| \n",
            "null",
            "99999999999999999999",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        line.clone().prop_map(Change::Delete),
        (line.clone(), line.clone()).prop_map(|(from, to)| Change::Duplicate(from, to)),
        (line.clone(), line.clone()).prop_map(|(a, b)| Change::Swap(a, b)),
        (line.clone(), 0_usize..8).prop_map(|(line, spaces)| Change::Indent(line, spaces)),
        (line.clone(), 0_usize..80, piece).prop_map(|(line, at, s)| Change::Insert(line, at, s)),
        line.prop_map(Change::Cut),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for change in changes {
        let count = lines.len().max(1);
        lines.resize(count, String::new());
        match change {
            Change::Delete(line) => drop(lines.remove(line % count)),
            Change::Duplicate(from, to) => {
                let line = lines[from % count].clone();
                lines.insert(to % count, line);
            }
            Change::Swap(a, b) => lines.swap(a % count, b % count),
            Change::Indent(line, spaces) => {
                let line = &mut lines[line % count];
                *line = format!("{}{}", " ".repeat(*spaces), line.trim_start_matches(' '));
            }
            Change::Insert(line, at, piece) => {
                let line = &mut lines[line % count];
                let at = line.char_indices().map(|(at, _)| at).nth(*at).unwrap_or(line.len());
                line.insert_str(at, piece);
            }
            Change::Cut(line) => lines.truncate(line % count),
        }
    }
    lines.concat()
}

/// Lines and columns as YAML counts them.
fn position(text: &str) -> (usize, usize) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let last = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last.chars().count() + 1)
}

fn check_span(span: Span, sources: &[&str]) {
    let text = sources[span.source];
    assert!(span.start <= span.end && span.end <= text.len(), "{span:?} of {}", text.len());
    assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{span:?}");
    let (lines, _) = position(text);
    assert!((1..=lines).contains(&span.line), "{span:?} of {lines} lines");
    assert!(span.column >= 1, "{span:?}");
    // A place without a width may stand where a break is, which is on either line.
    if span.end > span.start {
        let before = &text[..span.start];
        // A byte order mark has no width at the start of a document, elsewhere it has.
        let positions = [position(before), position(&before.replace('\u{feff}', ""))];
        assert!(positions.contains(&(span.line, span.column)), "{span:?}, not {positions:?}");
    }
}

fn check(text: &str, sets: &[String]) {
    let sources: Vec<&str> = [text].into_iter().chain(sets.iter().map(String::as_str)).collect();
    let result = Topology::parse("test.yaml", text, sets);
    let Err(found) = result.and_then(|topology| plan(&topology)) else { return };
    for diagnostic in found.iter() {
        let related = diagnostic.related.iter().map(|related| related.span);
        diagnostic.span.into_iter().chain(related).for_each(|span| check_span(span, &sources));
    }
    show(&found);
}

/// All three forms.
fn show(found: &Diagnostics) {
    found.excerpts(true);
    found.excerpts(false);
    let json: serde_json::Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), found.iter().count());
    let github = found.github();
    assert_eq!(github.lines().count(), found.iter().count(), "a line for each: {github}");
}

proptest! {
    #[test]
    fn lines_moved_and_characters_put_in(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let good = good();
        check(&changed(&good[which.index(good.len())], &changes), &[]);
    }

    #[test]
    fn any_text(text in "(\\PC|[ \t\r\n:{}\\[\\],&*$-]){0,120}") {
        check(&text, &[]);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&String::from_utf8_lossy(&bytes), &[]);
    }

    #[test]
    fn any_argument_of_set(
        path in "(peers|vars|links|rtt|scenario|profiles|x|[a-z]{1,3})(\\.(alice|0|rtt|steps|[a-z0-9]{0,3})){0,3}",
        value in "\\PC{0,20}",
    ) {
        check(GOOD, &[format!("{path}={value}"), value]);
    }
}
