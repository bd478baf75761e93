//! Strangers take all descriptors of a process: it says so a few times, and serves its
//! peers as soon as there are some again.

use std::path::Path;
use std::process::Stdio;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStderr, Command};

use super::*;

/// Set in the child that the test starts from this very executable: where the
/// identities of both ends are.
const DIRECTORY: &str = "DROPBED_TEST_LISTENER_CHILD";

/// Before the child's address.
const READY: &str = "serves at ";

/// For the connections of the child: fewer than handshakes have places, so that
/// descriptors run out first.
const DESCRIPTORS: u64 = 24;

/// More than the child has descriptors.
const STRANGERS: usize = 100;

/// Eight lines at once and one every ten seconds: what a test of a minute may see.
const COMPLAINTS_MAX: usize = 16;

/// Accept fails ten times in that while.
const QUIET: Duration = Duration::from_secs(1);

/// The listener's and the dialler's.
fn identities(directory: &Path) -> [Identity; 2] {
    ["listener", "dialler"].map(|name| Identity::load_or_create(&directory.join(name)).unwrap())
}

/// Lowers the limit to what is open now and so many more.
fn leave_descriptors(more: u64) {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let limit = Rlimit { current: Some(open + more), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
}

async fn echo(session: SecureStream<TcpStream>) {
    let (mut said, mut answer) = tokio::io::split(session);
    // Who has gone wants no answer.
    let _ = tokio::io::copy(&mut said, &mut answer).await;
    let _ = answer.shutdown().await;
}

/// Whether there is another complaint before the log ends.
async fn complains(log: &mut Lines<BufReader<ChildStderr>>) -> bool {
    while let Some(line) = log.next_line().await.unwrap() {
        if line.contains("cannot accept connections") {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn as_a_process() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_ansi(false);
    log.with_writer(io::stderr).init();
    let [identity, dialler] = identities(Path::new(&directory));
    let known = dialler.id();
    let known = move |id: &PeerId| (*id == known).then(|| "dialler".to_owned());
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    leave_descriptors(DESCRIPTORS);
    println!("{READY}{}", listener.local_address());
    let mut sessions = listener.incoming(Arc::new(identity), Arc::new(known), patient());
    while let Some(session) = sessions.next().await {
        tokio::spawn(echo(session.unwrap()));
    }
}

#[tokio::test]
async fn who_has_no_descriptors_left_says_so_a_few_times_and_serves_when_there_are_some() {
    let directory = tempfile::tempdir().unwrap();
    let [listener, dialler] = identities(directory.path());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "net::listen::tests::descriptors::as_a_process"])
        .args(["--nocapture", "--test-threads", "1"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = soon(said.next_line()).await.unwrap().expect("the child has ended");
        // The name of the test may stand before it.
        if let Some((_, address)) = line.split_once(READY) {
            break address.to_owned();
        }
    };

    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        strangers.push(TcpStream::connect(&address).await.unwrap());
    }
    assert!(soon(complains(&mut log)).await, "the child has ended");
    let mut complaints = 1;
    // Accept goes on failing, and soon nothing is said about it any more.
    while complaints <= COMPLAINTS_MAX
        && matches!(timeout(QUIET, complains(&mut log)).await, Ok(true))
    {
        complaints += 1;
    }

    drop(strangers);
    let options = SessionOptions::default();
    let dialled = dial(&address, "listener", listener.id(), &dialler, &options, Account::new());
    let mut dialled = soon(dialled).await.unwrap();
    dialled.write_all(b"through").await.unwrap();
    dialled.shutdown().await.unwrap();
    let mut heard = String::new();
    soon(dialled.read_to_string(&mut heard)).await.unwrap();
    assert_eq!(heard, "through");

    child.kill().await.unwrap();
    while complains(&mut log).await {
        complaints += 1;
    }
    assert!(complaints <= COMPLAINTS_MAX, "{complaints} lines");
}
