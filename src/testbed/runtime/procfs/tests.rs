use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const MOUNTINFO: &str = "\
22 28 0:20 / /proc rw,nosuid - proc proc rw
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue
90 28 0:53 / /tmp/a\\040b/mnt rw,nosuid,nodev - fuse.dropd dropd:bob:20260101-demo-x1 rw,user_id=0
91 28 0:54 / /mnt/own rw - fuse.dropd dropd:alice rw,user_id=0
92 28 0:55 / /mnt/other rw - fuse.sshfs dropd rw
93 broken line
";

#[test]
fn mounts_are_told_apart_by_their_source() {
    let entries = parse_mountinfo(MOUNTINFO);
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[1].source, "/dev/root");
    assert_eq!(entries[2].target, PathBuf::from("/tmp/a b/mnt"));
    let runs: Vec<_> = entries.iter().map(MountEntry::run_id).collect();
    assert_eq!(runs, [None, None, Some("20260101-demo-x1"), None, None]);
}

#[test]
fn a_directory_that_looks_like_a_daemon_is_not_one() {
    let entry = MountEntry {
        target: PathBuf::from("/mnt"),
        kind: "ext4".to_owned(),
        source: "dropd:bob:run".to_owned(),
    };
    assert_eq!(entry.run_id(), None);
}

#[test]
fn the_start_time_is_found_behind_a_hostile_name() {
    let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2";
    assert_eq!(parse_start_ticks(stat), Some(987_654));
    assert_eq!(parse_start_ticks("12 (short) S 1"), None);
}

#[test]
fn a_zombie_has_ended_whatever_its_name() {
    assert!(parse_zombie("12 (a) S 1) Z 1 12"));
    assert!(!parse_zombie("12 (Z) S 1 12"));
    assert!(!parse_zombie(""));
    let pid = std::process::id();
    let started = start_ticks(pid).unwrap();
    assert!(!has_ended(pid, started));
    assert!(has_ended(pid, started + 1));
}

#[test]
fn the_kernel_agrees_about_this_process() {
    assert!(start_ticks(std::process::id()).is_some());
    assert!(mounts().unwrap().iter().any(|entry| entry.kind == "proc"));
}

#[test]
fn environ_is_split_at_the_first_equals_sign() {
    let variables: Vec<_> = parse_environ(b"A=1\0B=x=y\0\xff=z\0bare\0C=\0").collect();
    assert_eq!(variables, [("A", "1"), ("B", "x=y"), ("C", "")]);
}

#[test]
fn sys_admin_is_bit_21() {
    assert!(parse_sys_admin("Name:\tx\nCapEff:\t0000000000200000\n"));
    assert!(!parse_sys_admin("CapEff:\t00000000a80425fb\n"));
    assert!(!parse_sys_admin("CapPrm:\t0000000000200000\n"));
}

proptest! {
    #[test]
    fn parsers_take_any_text(text in "\\PC{0,200}", bytes: Vec<u8>) {
        parse_mountinfo(&text);
        parse_start_ticks(&text);
        parse_sys_admin(&text);
        parse_environ(&bytes).count();
    }

    #[test]
    fn escapes_are_undone(path in "/[a-z \\t\\n\\\\]{0,30}") {
        let escaped: String = path.chars().map(|c| match c {
            ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", u32::from(c)),
            other => other.to_string(),
        }).collect();
        let line = format!("1 2 0:1 / {escaped} rw - tmpfs tmpfs rw");
        prop_assert_eq!(&parse_mountinfo(&line)[0].target, &PathBuf::from(path));
    }
}

#[test]
fn what_a_process_uses() {
    let stat = "7 (a ) b) T 1 7 7 0 -1 4194560 1 2 3 4 150 50 6 7 20 0 9 0 4321 1000 12 1 2";
    let usage = parse_usage(stat, 100, 4096).unwrap();
    let expected =
        Usage { start_ticks: 4321, is_stopped: true, cpu_ms: 2_000, resident_bytes: 12 * 4096 };
    assert_eq!(usage, expected);
    assert_eq!(parse_usage("7 (x) S 1", 100, 4096), None);
    let own = super::usage(std::process::id()).unwrap();
    assert!(!own.is_stopped && own.resident_bytes > 0, "{own:?}");
}
