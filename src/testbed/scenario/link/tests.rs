use super::*;

#[test]
fn a_correction_is_taken_off_both_ways() {
    let shape = Shape { up_latency_us: 25_000, down_latency_us: 25_000 };
    let less = Shape { up_latency_us: 24_500, down_latency_us: 24_500 };
    let more = Shape { up_latency_us: 25_300, down_latency_us: 25_300 };
    assert_eq!(corrected(shape, 1_000), less);
    assert_eq!(corrected(shape, -600), more);
}

#[test]
fn no_delay_is_never_made_negative_or_more() {
    assert_eq!(corrected(Shape::default(), 1_000), Shape::default());
    assert_eq!(corrected(Shape::default(), -1_000), Shape::default());
    let one_way = Shape { up_latency_us: 300, down_latency_us: 0 };
    assert_eq!(corrected(one_way, 1_000), Shape::default());
}
