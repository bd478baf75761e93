//! Topologies and their parts as text. Pure.

use std::time::Duration;

use super::overview::{Overview, Standing};
use super::{LinkSeen, PartView};
use crate::testbed::parts::RunState;
use crate::testbed::report::{bytes, styled};
use crate::testbed::result::Outcome;

/// A row for each topology, and what to do about those that nobody owns.
pub(crate) fn overview(views: &[Overview]) -> String {
    let header = ["name", "run", "runtime", "phase", "peers", "links", "age", "directory"];
    let rows = views.iter().map(|view| {
        let is_known = view.phase != Standing::Over;
        let counted = |text: String| if is_known { text } else { "-".to_owned() };
        vec![
            view.name.clone(),
            view.run_id.clone(),
            view.runtime.clone(),
            view.outcome.map_or_else(|| standing(view.phase).to_owned(), outcome),
            counted(format!("{}/{}", running(view), view.peers)),
            counted(view.links.to_string()),
            view.age_ms.map_or_else(|| "-".to_owned(), age),
            view.directory.display().to_string(),
        ]
    });
    let words = header.len();
    let mut text = styled(header.map(String::from).to_vec(), rows.collect(), words) + "\n";
    if views.iter().any(|view| view.phase == Standing::Dead) {
        text.push_str("dead: their owner was killed; `dropbed gc` removes what it left\n");
    }
    text
}

fn running(view: &Overview) -> String {
    view.peers_running.map_or_else(|| "unknown".to_owned(), |count| count.to_string())
}

const fn standing(phase: Standing) -> &'static str {
    match phase {
        Standing::Changing => "starting or ending",
        Standing::Measuring => "measuring",
        Standing::Held => "held",
        Standing::Up => "up",
        Standing::Dead => "dead",
        Standing::Unknown => "unknown owner",
        Standing::Over => "over",
    }
}

fn outcome(outcome: Outcome) -> String {
    let word = match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Error => "error",
        Outcome::TimedOut => "timed out",
        Outcome::Interrupted => "interrupted",
    };
    format!("over: {word}")
}

/// In whole seconds: nobody reads more.
fn age(age_ms: u64) -> String {
    humantime::format_duration(Duration::from_secs(age_ms / 1_000)).to_string()
}

/// A row for each part, then one for each link.
pub(crate) fn inspected(parts: &[PartView], links: &[LinkSeen]) -> String {
    let mut text = String::new();
    if !parts.is_empty() {
        let header = ["part", "state", "where", "memory", "cpu", "control", "listens at", "mount"];
        let rows = parts.iter().map(part).collect();
        text += &(styled(header.map(String::from).to_vec(), rows, header.len()) + "\n");
    }
    if !links.is_empty() {
        let header = ["link", "peer dials", "proxy listens", "proxy dials", "from this host"];
        let rows = links.iter().map(|link| {
            vec![
                link.name.clone(),
                link.peer.clone(),
                link.proxy.listen.clone(),
                link.proxy.upstream.clone(),
                or_dash(link.host.clone()),
            ]
        });
        text += &(styled(header.map(String::from).to_vec(), rows.collect(), header.len()) + "\n");
    }
    text
}

fn part(view: &PartView) -> Vec<String> {
    let pid = view.state.pid.map(|pid| format!("process {pid}"));
    let at = view.container.clone().or(pid).unwrap_or_else(|| view.kind.to_owned());
    vec![
        view.name.clone(),
        state(view),
        at,
        or_dash(view.state.memory_bytes.map(bytes)),
        or_dash(view.state.cpu_ms.map(|ms| format!("{:.2} s", ms as f64 / 1e3))),
        or_dash(view.control.clone()),
        or_dash(view.upstream.clone()),
        mount(view),
    ]
}

fn state(view: &PartView) -> String {
    let word = match view.state.running {
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Ended => "ended",
        RunState::Unknown => "not ours",
    };
    match (&view.state.how, view.answers) {
        (Some(how), _) => format!("{word}: {how}"),
        (None, Some(false)) if view.state.running != RunState::Ended => {
            format!("{word}, does not answer")
        }
        _ => word.to_owned(),
    }
}

fn mount(view: &PartView) -> String {
    match (&view.mount, view.mounted) {
        (Some(mount), Some(false)) => format!("{mount}: NOT mounted"),
        (Some(mount), _) => mount.clone(),
        (None, Some(true)) if view.state.running == RunState::Ended => "left behind".to_owned(),
        (None, Some(true)) => "mounted".to_owned(),
        (None, _) => "-".to_owned(),
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
