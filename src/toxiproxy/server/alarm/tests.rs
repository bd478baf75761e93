use super::*;
use clock::now_ns;

#[tokio::test]
async fn never_early_and_soon_after() {
    let mut alarm = Alarm::open().unwrap();
    for (precision, delay_us) in [Precision::Timer, Precision::Exact]
        .into_iter()
        .flat_map(|precision| [0, 30, 100, 500, 1_500].map(|delay_us| (precision, delay_us)))
    {
        let due_ns = now_ns() + delay_us * 1_000;
        alarm.until(due_ns, precision).await.unwrap();
        let now_ns = now_ns();
        assert!(now_ns >= due_ns, "early by {} ns", due_ns - now_ns);
        // Time is what is tested; the bound is that of a busy machine.
        assert!(now_ns - due_ns < 1_000_000_000);
    }
}

#[tokio::test]
async fn dropped_and_armed_again() {
    let mut alarm = Alarm::open().unwrap();
    let far_ns = now_ns() + 60 * NS_PER_S;
    tokio::select! {
        biased;
        _ = alarm.until(far_ns, Precision::Timer) => panic!("a minute early"),
        () = std::future::ready(()) => {}
    }
    let near_ns = now_ns() + 1_000_000;
    alarm.until(near_ns, Precision::Timer).await.unwrap();
    assert!((near_ns..far_ns).contains(&now_ns()));
}
