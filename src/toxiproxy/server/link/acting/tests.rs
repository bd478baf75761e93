use super::super::super::super::api::{Millis, Toxic};
use super::*;

const MS: u64 = 1_000_000;

fn live(id: u64, stream: Stream, effect: Effect) -> LiveToxic {
    LiveToxic { id, toxic: Toxic::new(stream, effect), bucket: None }
}

fn up(id: u64, effect: Effect) -> LiveToxic {
    live(id, Stream::Upstream, effect)
}

fn acting(list: &[LiveToxic]) -> ActingToxics {
    let mut acting = ActingToxics::new(ConnectionSeed::new(1, "p", 0), Stream::Upstream);
    assert_eq!(acting.follow(list, 0), None);
    acting
}

fn ms(ms: u64) -> Millis {
    Millis::from_micros(ms * 1_000)
}

#[test]
fn a_limit_counts_from_when_they_met_and_is_exact() {
    for (effect, cut) in
        [(Effect::LimitData { bytes: 5 }, Cut::Close), (Effect::CutAfter { bytes: 5 }, Cut::Reset)]
    {
        let mut acting = acting(&[up(1, effect)]);
        let first = acting.arrive(Bytes::from_static(b"abc"), 0);
        assert_eq!(first, Fate::Pass(Bytes::from_static(b"abc")));
        let second = acting.arrive(Bytes::from_static(b"defg"), 0);
        assert_eq!(second, Fate::PassAndCut(Bytes::from_static(b"de"), cut));
    }
    let mut none = acting(&[up(1, Effect::LimitData { bytes: 0 })]);
    let fate = none.arrive(Bytes::from_static(b"a"), 0);
    assert_eq!(fate, Fate::PassAndCut(Bytes::new(), Cut::Close));
}

#[test]
fn one_bit_of_one_byte_is_flipped_once() {
    let mut acting = acting(&[up(1, Effect::Corrupt(Corrupt { byte: 4, bit: 1 }))]);
    assert_eq!(acting.arrive(Bytes::from_static(b"aaa"), 0), Fate::Pass("aaa".into()));
    assert_eq!(acting.arrive(Bytes::from_static(b"aaa"), 0), Fate::Pass("aca".into()));
    assert_eq!(acting.arrive(Bytes::from_static(b"aaa"), 0), Fate::Pass("aaa".into()));
    // Its one bit was flipped: a later position comes too late.
    acting.follow(&[up(1, Effect::Corrupt(Corrupt { byte: 10, bit: 1 }))], 0);
    assert_eq!(acting.arrive(Bytes::from_static(b"aaa"), 0), Fate::Pass("aaa".into()));
}

#[test]
fn a_timeout_runs_from_when_they_met_and_its_removal_closes() {
    let timeout = up(1, Effect::Timeout { timeout: ms(100) });
    let mut with = acting(std::slice::from_ref(&timeout));
    assert_eq!(with.arrive(Bytes::from_static(b"a"), 90 * MS), Fate::Lost);
    assert!(!with.end_arrives());
    assert_eq!((with.cut(99 * MS), with.next_cut_ns()), (None, Some(100 * MS)));
    assert_eq!(with.cut(100 * MS), Some(Cut::Close), "data does not put it off");
    assert_eq!(with.follow(&[], 50 * MS), Some(Cut::Close));
    let mut never = acting(&[up(1, Effect::Timeout { timeout: Millis::ZERO })]);
    assert_eq!((never.cut(u64::MAX), never.next_cut_ns()), (None, None));
    assert_eq!(never.follow(&[], 0), Some(Cut::Close), "as stock, though nothing was lost");
}

#[test]
fn a_hole_cuts_only_those_who_lost_something() {
    for effect in [Effect::Blackhole, Effect::HalfOpen] {
        let list = [up(1, effect)];
        assert_eq!(acting(&list).follow(&[], 0), None, "nothing came meanwhile");
        let mut lost_data = acting(&list);
        assert_eq!(lost_data.arrive(Bytes::from_static(b"a"), 0), Fate::Lost);
        assert_eq!(lost_data.follow(&[], 0), Some(Cut::Reset));
        let mut lost_end = acting(&list);
        assert!(!lost_end.end_arrives());
        assert_eq!(lost_end.follow(&[], 0), Some(Cut::Reset));
    }
}

#[test]
fn a_black_hole_and_a_reset_act_on_both_directions() {
    let down = |effect| [live(1, Stream::Downstream, effect)];
    let mut hole = acting(&down(Effect::Blackhole));
    assert_eq!(hole.arrive(Bytes::from_static(b"a"), 0), Fate::Lost);
    assert_eq!(acting(&down(Effect::Reset)).cut(0), Some(Cut::Reset));
    let mut half = acting(&down(Effect::HalfOpen));
    assert_eq!(half.arrive(Bytes::from_static(b"a"), 0), Fate::Pass("a".into()));
}

#[test]
fn reset_peer_waits_for_data() {
    let mut acting = acting(&[up(1, Effect::ResetPeer { timeout: ms(30) })]);
    assert_eq!(acting.cut(u64::MAX), None);
    assert_eq!(acting.arrive(Bytes::from_static(b"a"), 10 * MS), Fate::Lost);
    assert_eq!(acting.arrive(Bytes::from_static(b"b"), 20 * MS), Fate::Lost);
    assert_eq!((acting.cut(39 * MS), acting.cut(40 * MS)), (None, Some(Cut::Reset)));
    assert!(!acting.end_arrives(), "a close does not outrun the reset");
}

#[test]
fn state_outlives_an_update_and_not_a_removal() {
    let limit = |id, bytes| [up(id, Effect::LimitData { bytes })];
    let mut acting = acting(&limit(1, 100));
    acting.arrive(Bytes::from_static(b"abcd"), 0);
    assert_eq!(acting.follow(&limit(1, 6), 0), None);
    let fate = acting.arrive(Bytes::from_static(b"abcd"), 0);
    assert_eq!(fate, Fate::PassAndCut("ab".into(), Cut::Close));
    assert_eq!(acting.follow(&limit(2, 6), 0), None);
    assert_eq!(acting.arrive(Bytes::from_static(b"abcd"), 0), Fate::Pass("abcd".into()));
}

#[test]
fn toxicity_is_a_share_of_connections() {
    let mut toxic = up(1, Effect::Stall);
    toxic.toxic.toxicity = 0.25;
    let hit = (0..2_000).filter(|ordinal| {
        let seed = ConnectionSeed::new(42, "p", *ordinal);
        let mut acting = ActingToxics::new(seed, Stream::Upstream);
        acting.follow(std::slice::from_ref(&toxic), 0);
        acting.is_stalled()
    });
    let hit = hit.count();
    // Five standard deviations of a fair draw: 500 +- 97.
    assert!((403..=597).contains(&hit), "{hit} of 2000");
}
