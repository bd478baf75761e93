use proptest::prelude::*;

use super::*;

#[test]
fn deepest_layer_owns_the_instant() {
    let mut ledger = Ledger::new(0);
    ledger.enter(Layer::Fuse, 10);
    ledger.enter(Layer::Fetch, 20);
    ledger.enter(Layer::Grpc, 25);
    ledger.enter(Layer::TcpWait, 30);
    ledger.leave(Layer::TcpWait, 70);
    ledger.enter(Layer::Open, 70);
    ledger.leave(Layer::Open, 75);
    ledger.leave(Layer::Grpc, 80);
    ledger.leave(Layer::Fetch, 90);
    ledger.leave(Layer::Fuse, 100);
    let times = ledger.times(110);
    let of = |layer| times.self_ns(layer);
    assert_eq!(
        (of(Layer::Idle), of(Layer::Fuse), of(Layer::Fetch), of(Layer::Grpc)),
        (20, 20, 15, 10)
    );
    assert_eq!((of(Layer::TcpWait), of(Layer::Open)), (40, 5));
}

#[test]
fn layers_at_work_together_share_equally() {
    let mut ledger = Ledger::new(0);
    ledger.enter(Layer::Disk, 0);
    ledger.enter(Layer::Open, 0);
    let times = ledger.times(101);
    assert_eq!((times.self_ns(Layer::Disk), times.self_ns(Layer::Open)), (51, 50));
}

#[test]
fn waiting_for_the_socket_counts_only_under_a_request() {
    let mut ledger = Ledger::new(0);
    ledger.enter(Layer::TcpWait, 0);
    ledger.enter(Layer::Grpc, 50);
    let times = ledger.times(80);
    assert_eq!((times.self_ns(Layer::Idle), times.self_ns(Layer::TcpWait)), (50, 30));
}

proptest! {
    /// Whatever overlaps, and in whatever order stamps arrive, parts add up to the whole.
    #[test]
    fn parts_add_up(steps in prop::collection::vec((0_usize..7, any::<bool>(), 0_u64..1000), 0..200)) {
        let mut ledger = Ledger::new(0);
        let mut open = [0_u32; 8];
        let mut latest_ns = 0;
        for (which, enter, now_ns) in steps {
            let layer = Layer::ALL[which];
            if enter {
                open[which] += 1;
                ledger.enter(layer, now_ns);
            } else if open[which] > 0 {
                open[which] -= 1;
                ledger.leave(layer, now_ns);
            } else {
                continue;
            }
            latest_ns = latest_ns.max(now_ns);
        }
        prop_assert_eq!(ledger.times(latest_ns).total_ns(), latest_ns);
    }
}
