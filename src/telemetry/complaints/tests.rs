use super::*;

#[test]
fn a_flood_is_a_few_lines_and_a_number() {
    let start = Instant::now();
    let mut allowance = Allowance::default();
    let lines = (0..100_000).filter(|_| allowance.take(start).is_some()).count();
    assert_eq!(lines, LINES_MAX as usize);
    assert_eq!(allowance.take(start + LINE_EVERY / 2), None);
    let kept_back = 100_000 - u64::from(LINES_MAX) + 1;
    assert_eq!(allowance.take(start + LINE_EVERY), Some(kept_back));
    assert_eq!(allowance.take(start + LINE_EVERY), None);
    // An hour later there is room for as many as at first, and none is counted twice.
    let later = start + Duration::from_secs(3600);
    assert_eq!(allowance.take(later), Some(1));
    assert_eq!((0..100).filter(|_| allowance.take(later).is_some()).count(), 7);
}
