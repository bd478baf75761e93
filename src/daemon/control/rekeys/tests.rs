use super::*;

#[test]
fn each_position_counts_once() {
    let mut positions = Positions::new(vec![300, 100, 200]).unwrap();
    let passed: Vec<bool> = [99, 100, 100, 350, 400].map(|at| positions.passed(at)).to_vec();
    assert_eq!(passed, [false, true, false, true, false]);
    assert!(Positions::new(vec![0; POSITIONS_MAX + 1]).is_err());
}
