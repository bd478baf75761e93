//! A diagnosis as text: columns, hints beneath, and what a run would do at the end.

use std::fmt::Write as _;

use super::{Check, Diagnosis, Verdict};
use crate::testbed::runtime::RuntimeKind;

const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// Width of the longest verdict.
const VERDICT_CHARS: usize = "warning".len();

/// One line for each check, its hint beneath it, and a sentence at the end.
pub fn render(diagnosis: &Diagnosis, colour: bool) -> String {
    let name_chars = diagnosis.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let indent = VERDICT_CHARS + name_chars + 4;
    let mut text = String::new();
    for Check { name, verdict, detail, hint } in &diagnosis.checks {
        let (word, start) = match verdict {
            Verdict::Ok => ("ok", GREEN),
            Verdict::Warning => ("warning", YELLOW),
            Verdict::Failed => ("failed", RED),
        };
        let (start, end) = if colour { (start, PLAIN) } else { ("", "") };
        // An engine's words may take several lines.
        let detail = detail.trim_end().replace('\n', &format!("\n{:indent$}", ""));
        text += &format!("{start}{word:VERDICT_CHARS$}{end}  {name:name_chars$}  {detail}\n");
        if !hint.is_empty() {
            text += &format!("{:indent$}hint: {hint}\n", "");
        }
    }
    writeln!(text, "{}", sentence(diagnosis)).expect("writing to a string cannot fail");
    text
}

/// What `dropbed run` would do here.
pub(super) fn sentence(diagnosis: &Diagnosis) -> String {
    let Diagnosis { process_works, docker_works, run_takes, why, .. } = diagnosis;
    let start = format!("`dropbed run` takes the runtime {run_takes} here ({why})");
    if *run_takes == RuntimeKind::Attach {
        return format!("{start}: whether its peers are there shows when it runs.");
    }
    if diagnosis.can_run() {
        return format!("{start}: that works.");
    }
    let other = match run_takes {
        RuntimeKind::Docker if *process_works => Some("process"),
        RuntimeKind::Process if *docker_works => Some("docker"),
        _ => None,
    };
    match other {
        Some(other) => {
            format!("{start}: that does not work yet, but `--runtime {other}` does.")
        }
        None => format!("{start}: that does not work yet, see what failed above."),
    }
}
