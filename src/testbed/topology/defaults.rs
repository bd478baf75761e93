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

/// Peers of one topology: far more than one machine runs, so that plans of larger
/// systems can be looked at.
pub const PEERS_MAX: usize = 4096;

/// Peers of one run, without `--force`. What a machine of a few cores starts within
/// half a minute; a full mesh of them has 4032 links, for which a proxy has ports.
pub const PEERS_RECOMMENDED_MAX: usize = 64;

/// Links of one topology: a full mesh of 1024 peers. Each takes some 250 bytes of
/// a plan.
pub const LINKS_MAX: usize = 1024 * 1023;

/// Children of each peer of a `tree`.
pub const TREE_ARITY: u64 = 2;

/// Shapes of all cells together, at 96 bytes each: those of the most links in four
/// cells, or of the 4032 of a full mesh of 64 in the most cells.
pub const SHAPES_MAX: usize = 4 << 20;

/// Profiles of one file. One that inherits from another is resolved within it, so
/// this also bounds how deep.
pub const PROFILES_MAX: usize = 256;

/// Least share of a processor: engines refuse less than a hundredth.
pub const CPUS_MILLI_MIN: u64 = 10;

/// Most processors: more than a machine has, so that no limit says the same.
pub const CPUS_MILLI_MAX: u64 = 1_024_000;

/// Least memory of a peer: Docker refuses less than 6 MiB.
pub const MEMORY_BYTES_MIN: u64 = 6 << 20;

/// Most memory of a peer: more than a machine has, so that no limit says the same.
pub const MEMORY_BYTES_MAX: u64 = 16 << 40;

/// Least size of a volume in memory: keys, a socket and some pages to write to.
pub const VOLUME_MEMORY_BYTES_MIN: u64 = 1 << 20;

/// Largest volume in memory: as large as a file of the dataset may be.
pub const VOLUME_MEMORY_BYTES_MAX: u64 = FILE_BYTES_MAX;

/// Longest path of a directory of the machine: Linux takes 4096 bytes with the
/// zero at their end.
pub const DIRECTORY_BYTES_MAX: usize = 4095;

/// Longest peer name: a host name label, with room for a prefix.
pub const NAME_BYTES_MAX: usize = 32;

/// Longest path of a file in a share.
pub const PATH_BYTES_MAX: usize = 1024;

/// Longest name within such a path: what file systems of Linux take (NAME_MAX).
pub const PATH_NAME_BYTES_MAX: usize = 255;

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

/// Files of the dataset. Each is a call to its peer and an entry of the plan.
pub const FILES_MAX: usize = 10_000;

/// All files of the dataset together: more than any disk here has.
pub const DATASET_BYTES_MAX: u64 = 1 << 42;

/// Steps of the scenario.
pub const STEPS_MAX: usize = 256;

/// One message, request or read(2).
pub const CHUNK_BYTES_MAX: u64 = 64 << 20;

/// Requests in flight that a step may ask for.
pub const DEPTH_MAX: u64 = 4096;

/// Connections that may share one step's push.
pub const LANES_MAX: u64 = 8;

/// Key changes asked for within one step.
pub const REKEYS_MAX: usize = 64;

/// Cells of the matrix; [`SHAPES_MAX`] bounds what they hold together.
pub const CELLS_MAX: usize = 1024;

/// Turns of the run: cells times repetitions and warm-ups.
pub const TURNS_MAX: usize = 100_000;

/// Repetitions and warm-ups.
pub const REPETITIONS_MAX: u64 = 10_000;

/// Any deadline: a week.
pub const DEADLINE_MS_MAX: u64 = 7 * 24 * 3_600_000;
