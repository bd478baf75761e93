//! [`Wishes`] over loom's primitives: each test runs in every order of its threads'
//! steps with few preemptions, and with every value that a load may see. A lost wake-up
//! is a deadlock there.

use std::task::Poll;

use futures::future::poll_fn;
use loom::future::block_on;
use loom::sync::{Arc, Mutex};
use loom::thread;

use wishes::Wishes;

/// The same source as the product's, over `sync` of this module.
#[allow(clippy::duplicate_mod, reason = "that is what it is for")]
#[path = "../wishes.rs"]
mod wishes;

mod sync {
    use std::task::Waker;

    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};

    /// loom's takes wakers in another way.
    pub(super) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(super) fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub(super) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(super) fn wake(&self) {
            self.0.wake();
        }
    }
}

/// Times that a thread is stopped where it could go on, per run. Most faults of this
/// kind need one or two; without a bound there is no end to it.
const PREEMPTIONS_MAX: usize = 3;

fn in_every_order(test: impl Fn() + Send + Sync + 'static) {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(PREEMPTIONS_MAX);
    orders.check(test);
}

#[derive(Clone, Copy)]
enum Half {
    Reader,
    Writer,
}

/// What was carried out.
#[derive(Default)]
struct Done {
    rekeys: u32,
    folds: u32,
}

/// A stream: its halves are polled one at a time, as `tokio::io::split` has it.
struct Stream {
    wishes: Wishes,
    done: Mutex<Done>,
}

impl Stream {
    fn new() -> Arc<Self> {
        Arc::new(Self { wishes: Wishes::new(), done: Mutex::new(Done::default()) })
    }

    /// Polls a half until enough was carried out, by whichever half.
    fn poll_until(&self, half: Half, enough: fn(&Done) -> bool) {
        block_on(poll_fn(|cx| {
            let mut done = self.done.lock().unwrap();
            match half {
                Half::Reader => self.wishes.register_reader(cx.waker()),
                Half::Writer => self.wishes.register_writer(cx.waker()),
            }
            let (rekey, fold) = (self.wishes.take_rekey(), self.wishes.take_fold());
            done.rekeys += u32::from(rekey);
            done.folds += u32::from(fold);
            if rekey || fold {
                // The transport's progress wakes both halves.
                self.wishes.wake();
            }
            if enough(&done) { Poll::Ready(()) } else { Poll::Pending }
        }));
    }
}

#[test]
fn a_wish_wakes_a_half_that_waits() {
    for half in [Half::Reader, Half::Writer] {
        in_every_order(move || {
            let stream = Stream::new();
            let asking = Arc::clone(&stream);
            let asks = thread::spawn(move || asking.wishes.ask_rekey());
            stream.poll_until(half, |done| done.rekeys > 0);
            asks.join().unwrap();
            assert_eq!(stream.done.lock().unwrap().rekeys, 1);
        });
    }
}

#[test]
fn wishes_of_two_handles_are_both_carried_out() {
    in_every_order(|| {
        let stream = Stream::new();
        let [rekeying, folding] = [Arc::clone(&stream), Arc::clone(&stream)];
        let asks = thread::spawn(move || rekeying.wishes.ask_rekey());
        let also_asks = thread::spawn(move || folding.wishes.ask_fold());
        stream.poll_until(Half::Reader, |done| done.rekeys > 0 && done.folds > 0);
        asks.join().unwrap();
        also_asks.join().unwrap();
        let done = stream.done.lock().unwrap();
        assert_eq!((done.rekeys, done.folds), (1, 1));
    });
}

#[test]
fn one_of_two_halves_carries_a_wish_out_and_the_other_hears_of_it() {
    in_every_order(|| {
        let stream = Stream::new();
        let [asking, writing] = [Arc::clone(&stream), Arc::clone(&stream)];
        let asks = thread::spawn(move || asking.wishes.ask_rekey());
        let writes =
            thread::spawn(move || writing.poll_until(Half::Writer, |done| done.rekeys > 0));
        stream.poll_until(Half::Reader, |done| done.rekeys > 0);
        asks.join().unwrap();
        writes.join().unwrap();
        assert_eq!(stream.done.lock().unwrap().rekeys, 1);
    });
}
