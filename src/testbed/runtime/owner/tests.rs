use proptest::prelude::*;

use super::*;

fn owner(boot_id: &str, pid_namespace: &str) -> Owner {
    Owner {
        pid: 7,
        start_ticks: 100,
        boot_id: boot_id.to_owned(),
        pid_namespace: pid_namespace.to_owned(),
    }
}

#[test]
fn this_process_is_alive() {
    assert_eq!(Owner::current().liveness(), Liveness::Alive);
}

#[test]
fn a_reused_process_id_does_not_keep_an_owner_alive() {
    let here = owner("b", "1");
    assert_eq!(here.liveness_seen_from(&here, Some(100)), Liveness::Alive);
    assert_eq!(here.liveness_seen_from(&here, Some(101)), Liveness::Gone);
    assert_eq!(here.liveness_seen_from(&here, None), Liveness::Gone);
}

#[test]
fn an_owner_elsewhere_is_left_alone() {
    let here = owner("b", "1");
    for elsewhere in [owner("b", "2"), owner("", "1"), owner("b", "")] {
        assert_eq!(elsewhere.liveness_seen_from(&here, None), Liveness::Unknown);
    }
    let before_reboot = owner("a", "2");
    assert_eq!(before_reboot.liveness_seen_from(&here, Some(100)), Liveness::Gone);
}

#[test]
fn other_text_is_refused() {
    for text in ["", "1", "1:2", "1:2:3", "x:2:3:4", "1:y:3:4", "-1:2:3:4"] {
        assert!(text.parse::<Owner>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn text_and_back(pid: u32, start_ticks: u64, boot_id in "[0-9a-f-]{0,36}", ns in "[0-9]{0,12}") {
        let owner = Owner { pid, start_ticks, boot_id, pid_namespace: ns };
        prop_assert_eq!(owner.to_string().parse::<Owner>().unwrap(), owner);
    }
}
