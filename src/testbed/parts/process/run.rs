//! One command as a child of ours, ended with all that it started.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::testbed::parts::{Chunk, Stream, VerbError};

/// From SIGTERM to SIGKILL for a command that is to end early.
pub(in crate::testbed::parts) const END_DEADLINE: Duration = Duration::from_secs(5);

/// For what is still in the pipes of a command that was told to end, and did.
const LAST_WORDS_DEADLINE: Duration = Duration::from_secs(1);

/// As shells tell that a command cannot be started.
pub(in crate::testbed::parts) const NOT_STARTED: u8 = 127;

/// Most bytes told at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What to run.
#[derive(Debug)]
pub(in crate::testbed::parts) struct Invocation {
    pub(in crate::testbed::parts) program: PathBuf,
    pub(in crate::testbed::parts) arg0: String,
    pub(in crate::testbed::parts) arguments: Vec<String>,
    /// The whole of it: nothing is inherited.
    pub(in crate::testbed::parts) environment: BTreeMap<String, String>,
    pub(in crate::testbed::parts) directory: PathBuf,
}

/// Runs it to its end, or until `stop`; its standard input is empty.
pub(in crate::testbed::parts) async fn run(
    part: &str,
    invocation: Invocation,
    output: mpsc::Sender<Chunk>,
    stop: CancellationToken,
) -> Result<u8, VerbError> {
    let Invocation { program, arg0, arguments, environment, directory } = invocation;
    let spawned = Command::new(&program)
        .arg0(&arg0)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(directory)
        // A terminal's Ctrl-C is ours to pass on, to whatever the command started too.
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let bytes = not_started(&arg0, &error).into_bytes();
            let chunk = Chunk { part: part.to_owned(), stream: Stream::Stderr, bytes };
            let _nobody = output.send(chunk).await;
            return Ok(NOT_STARTED);
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let has_ended = CancellationToken::new();
    let ending = async {
        let status = end(&mut child, stop.cancelled()).await;
        has_ended.cancel();
        status
    };
    // What the command started and left behind may hold its output open.
    let given_up = async {
        tokio::join!(has_ended.cancelled(), stop.cancelled());
        sleep(LAST_WORDS_DEADLINE).await;
    };
    let telling = async {
        let both = async {
            tokio::join!(
                tell(part, Stream::Stdout, stdout, &output),
                tell(part, Stream::Stderr, stderr, &output)
            )
        };
        tokio::select! {
            _ = both => {}
            () = given_up => {}
        }
    };
    let (status, ()) = tokio::join!(ending, telling);
    let status = status
        .map_err(|error| VerbError::failed(format!("{part}: waiting for `{arg0}`: {error}")))?;
    Ok(code(status))
}

/// Waits for its end; from `stop` on brings it about, for its whole group.
pub(in crate::testbed::parts) async fn end(
    child: &mut Child,
    stop: impl Future<Output = ()>,
) -> std::io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return status,
        () = stop => {}
    }
    // It was not waited for, so its id, and its group's, are still its own.
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let send = |signal| group.map(|group| kill_process_group(group, signal));
    let _ended_already = send(Signal::TERM);
    if let Ok(status) = timeout(END_DEADLINE, child.wait()).await {
        return status;
    }
    let _ended_already = send(Signal::KILL);
    child.wait().await
}

async fn tell(
    part: &str,
    stream: Stream,
    from: Option<impl AsyncRead + Unpin>,
    output: &mpsc::Sender<Chunk>,
) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; CHUNK_BYTES];
    // An error is the end as well: there is nobody to write any more.
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let chunk = Chunk { part: part.to_owned(), stream, bytes: buffer[..length].to_vec() };
        if output.send(chunk).await.is_err() {
            return;
        }
    }
}

/// What a command that cannot be started says.
pub(in crate::testbed::parts) fn not_started(program: &str, error: &std::io::Error) -> String {
    format!(
        "error: cannot run `{program}`: {error}\n  hint: `dropd` is always there; other programs are \
         those of the machine, and containers have none\n"
    )
}

/// As shells tell it.
pub(in crate::testbed::parts) fn code(status: ExitStatus) -> u8 {
    const SIGNALLED: i32 = 128;
    let code = status.code().unwrap_or_else(|| SIGNALLED + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}
