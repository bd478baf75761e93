//! Verbs on parts that somebody else started: what asks their control service works,
//! everything else is refused and does nothing.

use std::path::Path;

use rustix::process::Signal;

use crate::support::attached::{Attached, LINK, OWNER, READER, leave_alone};
use crate::support::dropbed;

fn topology() -> String {
    format!(
        "version: 1\n\
         name: elsewhere\n\
         defaults: {{ peer: {{ mount: false }} }}\n\
         peers: {{ \"{OWNER}\": {{}}, \"{READER}\": {{}} }}\n\
         links:\n\
         \x20 - {{ a: \"{READER}\", b: \"{OWNER}\", both: {{ rtt: 0ms }}, dial: a }}\n\
         dataset:\n\
         \x20 - {{ peer: \"{OWNER}\", path: f.bin, size: 64KiB }}\n\
         scenario:\n\
         \x20 steps:\n\
         \x20   - transfer: {{ name: push, from: \"{OWNER}\", to: \"{READER}\", path: f.bin, mode: push }}\n"
    )
}

/// What it prints, on either stream, when it ends with this code.
fn said(out: &Path, arguments: &[&str], code: i32) -> String {
    let (verb, arguments) = arguments.split_first().expect("a verb");
    let output = dropbed([verb, "--out"]).arg(out).args(arguments).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{verb} {arguments:?}: {text}");
    text.into_owned()
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let attached = Attached::start(leave_alone, false);
    let mut running = attached.run(&topology()).flag("--hold").start();
    running.wait_for_line("held:");
    let out = running.out().to_owned();

    assert!(said(&out, &["ls"], 0).contains("attach"));
    let parts = said(&out, &["inspect"], 0);
    assert!(parts.contains("not ours") && parts.contains(LINK), "{parts}");
    assert!(said(&out, &["events"], 0).contains("hold"));
    assert!(said(&out, &["exec", READER, "--", "dropd", "status"], 0).contains("connected"));
    let pulled = said(&out, &["exec", READER, "--", "dropd", "pull", "--hash", "2/f.bin"], 0);
    assert!(pulled.contains("65536 bytes"), "{pulled}");

    for refused in [
        &["exec", READER, "--", "dropd", "id"][..],
        &["exec", READER, "--", "sh", "-c", "exit 0"],
        &["peer", "kill", OWNER],
        &["peer", "term", OWNER],
        &["peer", "pause", OWNER],
        &["peer", "unpause", OWNER],
        &["logs", OWNER],
        &["cp", "2:f.bin", "."],
    ] {
        let why = said(&out, refused, 3);
        assert!(why.contains("was started by somebody else"), "{refused:?}: {why}");
        assert!(why.contains("hint: "), "{refused:?}: {why}");
    }
    assert!(said(&out, &["peer", "restart", OWNER], 2).contains("dropbed up FILE"));
    assert!(said(&out, &["exec", READER, "--", "dropd", "status"], 0).contains("connected"));

    running.signal(Signal::INT);
    assert_eq!(running.finish().result(0)["outcome"], "pass");
}
