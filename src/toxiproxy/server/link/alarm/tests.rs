use super::*;
use crate::toxiproxy::server::clock::now_ns;

#[tokio::test]
async fn never_early_and_soon_after() {
    let mut alarm = Alarm::default();
    for delay_us in [0, 100, 500, 1_500] {
        let due_ns = now_ns() + delay_us * 1_000;
        alarm.until(due_ns).await.unwrap();
        let now_ns = now_ns();
        assert!(now_ns >= due_ns, "early by {} ns", due_ns - now_ns);
        // Time is what is tested; the bound is that of a busy machine.
        assert!(now_ns - due_ns < 1_000_000_000);
    }
}

#[tokio::test]
async fn dropped_and_armed_again() {
    let mut alarm = Alarm::default();
    let far_ns = now_ns() + 60 * NS_PER_S;
    tokio::select! {
        biased;
        _ = alarm.until(far_ns) => panic!("a minute early"),
        () = std::future::ready(()) => {}
    }
    let near_ns = now_ns() + 1_000_000;
    alarm.until(near_ns).await.unwrap();
    assert!((near_ns..far_ns).contains(&now_ns()));
}
