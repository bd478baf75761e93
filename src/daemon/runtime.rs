//! What sessions run on: threads, and a heap that keeps its pages.

use std::hint::black_box;
use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// Processors per worker. A transfer is a chain: socket, cipher, HTTP/2, consumer. With
/// a worker for each processor every link of it wakes on another one, where its bytes
/// are not in the cache: with one worker on two processors the same push ran 1.3 times
/// as fast (ARCHITECTURE.md, The ladder). Disk and mount have threads of their own.
const PROCESSORS_PER_WORKER: usize = 2;

/// glibc takes the size of a block that it got from the kernel and that is freed for
/// its new threshold of what it gets from there, and twice that for how much it keeps
/// (mallopt(3), `M_MMAP_THRESHOLD`). Left to itself it gives the half MiB of each
/// HTTP/2 frame back and gets it again, with 128 page faults. So it keeps 32 MiB, what a
/// receiver has waiting that was held up for 5 ms: with 8 MiB a fast push still had up to
/// eight faults a frame.
const HEAP_BLOCK_BYTES: usize = 16 << 20;

/// A runtime for a daemon.
///
/// # Errors
/// When the system gives no threads.
pub fn new() -> io::Result<Runtime> {
    drop(black_box(Vec::<u8>::with_capacity(HEAP_BLOCK_BYTES)));
    // Who cannot count processors runs on one.
    let processors = available_parallelism().map_or(1, usize::from);
    let workers = (processors / PROCESSORS_PER_WORKER).max(1);
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}
