//! What a topology that says nothing gets, and what it may at most ask for.
//! All of them are here, each with its reason.

/// The only version of the schema.
pub const VERSION: u64 = 1;

/// A fixed number, so that a run without a seed can be repeated too.
pub const SEED: u64 = 1;

/// Peers mount the shares of the others: the mount is half of what is tested.
pub const PEER_MOUNT: bool = true;

/// FUSE needs one capability and one device, not all of them.
pub const PEER_PRIVILEGED: bool = false;

/// The daemon's own storm limit: below this, key changes outweigh data.
pub const REKEY_BYTES_MIN: u64 = 64 << 10;

/// Beyond any file of a dataset, so as good as never.
pub const REKEY_BYTES_MAX: u64 = 1 << 42;

/// Long enough for every shipped step at 100 ms, short enough for a person who
/// watches one hang.
pub const STEP_DEADLINE_MS: u64 = 60_000;

/// One look; a study asks for more.
pub const REPETITIONS: u32 = 1;

/// A demo shows what a cold start costs; a study asks for a warm-up.
pub const WARMUP: u32 = 0;

/// Drift of the machine then falls on all cells alike.
pub const RANDOMISED: bool = true;

/// A run that takes longer is a sweep, and says so.
pub const RUN_DEADLINE_MS: u64 = 600_000;

/// Each rekey that a step asks for moves both directions once.
pub const EPOCHS_PER_REKEY: u32 = 2;

/// Peers of one run. Full mesh of this many needs 4032 listeners, which fit
/// between the first link port and the ephemeral ones.
pub const PEERS_MAX: usize = 64;

/// Longest peer name: a host name label, with room for a prefix.
pub const NAME_BYTES_MAX: usize = 32;

/// Longest path of a file in a share.
pub const PATH_BYTES_MAX: usize = 1024;

/// One-way delay of a link: beyond 5 s the round trip of a handshake or of a small
/// call takes longer than the 10 s that each has.
pub const LATENCY_US_MAX: u64 = 4_000_000;

/// Slowest rate: the messages of a handshake, some 1.3 kB each way, then take 3 s
/// of the 10 s that it has.
pub const RATE_BITS_PER_S_MIN: u64 = 8_000;

/// Fastest rate: more than any one machine copies through a proxy, so that a link
/// without a rate says the same.
pub const RATE_BITS_PER_S_MAX: u64 = 100_000_000_000;

/// One file of the dataset.
pub const FILE_BYTES_MAX: u64 = 1 << 40;

/// Files of the dataset.
pub const FILES_MAX: usize = 1000;

/// Steps of the scenario.
pub const STEPS_MAX: usize = 256;

/// One message, request or read(2).
pub const CHUNK_BYTES_MAX: u64 = 64 << 20;

/// Requests in flight that a step may ask for.
pub const DEPTH_MAX: u64 = 4096;

/// Key changes asked for within one step.
pub const REKEYS_MAX: usize = 64;

/// Cells of the matrix: with the most links, their shapes take 320 MiB.
pub const CELLS_MAX: usize = 1024;

/// Turns of the run: cells times repetitions and warm-ups.
pub const TURNS_MAX: usize = 100_000;

/// Repetitions and warm-ups.
pub const REPETITIONS_MAX: u64 = 10_000;

/// Any deadline: a week.
pub const DEADLINE_MS_MAX: u64 = 7 * 24 * 3_600_000;
