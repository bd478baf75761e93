use std::time::Duration;

use rustix::process::{Signal as Sent, getpid, kill_process};
use tokio::time::timeout;

use super::*;

/// The kernel lets nobody take over SIGKILL.
#[tokio::test]
async fn one_handler_that_fails_leaves_the_other() {
    for kinds in [
        [SignalKind::from_raw(9), SignalKind::user_defined2()],
        [SignalKind::user_defined2(), SignalKind::from_raw(9)],
    ] {
        let signals = Signals::of(&kinds);
        kill_process(getpid(), Sent::USR2).unwrap();
        let heard = timeout(Duration::from_secs(20), signals.interrupted()).await;
        assert!(heard.is_ok(), "{kinds:?}");
    }
}

#[tokio::test]
async fn without_any_handler_nothing_is_heard() {
    let signals = Signals::of(&[SignalKind::from_raw(9)]);
    assert_eq!(signals.patiently(async { 7 }).await, Some(7));
    let heard = futures::poll!(std::pin::pin!(signals.interrupted()));
    assert!(heard.is_pending());
}
