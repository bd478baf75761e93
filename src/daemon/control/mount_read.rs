//! The call `ReadMount`: a child process reads, as an application would.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::progress::{Progress, events};
use super::rekeys::Positions;
use super::{Control, Events, snapshot};
use crate::daemon::reader::{Line, READ_BYTES_DEFAULT, READ_BYTES_MAX};
use crate::daemon::session::PeerSession;
use crate::fuse::Readers;
use crate::proto::control as wire;
use crate::secure::SessionHandle;
use crate::source::SharePath;
use crate::telemetry::layers::Layer;
use crate::telemetry::propagate;
use crate::transfer::spans;

/// What is kept of the child's complaints.
const STDERR_BYTES_MAX: u64 = 4096;

impl Control {
    pub(super) fn start_mount_read(
        &self,
        request: Request<wire::ReadMountRequest>,
    ) -> Result<Response<Events>, Status> {
        let traceparent = propagate::extract(&request).map(str::to_owned);
        let wire::ReadMountRequest { path, read_bytes, rekey_at_bytes } = request.into_inner();
        let Some(mount) = &self.core.config.mount else {
            return Err(Status::failed_precondition(
                "this daemon has no mount; start it with --mount or DROPD_MOUNT",
            ));
        };
        let read_bytes = match read_bytes {
            0 => READ_BYTES_DEFAULT,
            asked if asked <= READ_BYTES_MAX => asked,
            _ => {
                let reason = format!("at most {READ_BYTES_MAX} bytes in one read");
                return Err(Status::invalid_argument(reason));
            }
        };
        let rekeys = Positions::new(rekey_at_bytes)?;
        let checked = SharePath::parse(&path)?;
        let Some((peer, file)) = checked.as_str().split_once('/') else {
            return Err(Status::invalid_argument("the path must be `<peer>/<path>`"));
        };
        let peer = self.peer(peer)?;
        let span = spans::mount_read(&peer.entry().name, file);
        propagate::set_parent(&span, traceparent.as_deref());
        let (file, readers) = (mount.join(checked.as_str()), self.core.readers.clone());
        let transfer = |progress| async move {
            let reading = Reading { file, read_bytes, rekeys, progress };
            let reading = read(&peer, &readers, reading, &span);
            reading.instrument(span.clone()).await
        };
        Ok(Response::new(events(transfer, self.core.stop.clone())))
    }
}

/// What a child is to do.
struct Reading {
    file: PathBuf,
    read_bytes: u32,
    rekeys: Positions,
    progress: Progress,
}

async fn read(
    peer: &Arc<PeerSession>,
    readers: &Readers,
    mut reading: Reading,
    span: &tracing::Span,
) -> Result<wire::TransferDone, Status> {
    // Dialled before, so that the counters are of one session.
    let session = peer.session().await?;
    session.client.end_shared_reads();
    session.handle.measure_gaps_from_now();
    let before = snapshot(&session);
    let times_before = peer.account().times();
    let mut child = spawn(&reading)?;
    let process_id = child.id().ok_or_else(|| internal("has no id"))?;
    let reader = readers.register(process_id, span.clone());
    let under_way = peer.account().enter(Layer::Fuse);
    let done = converse(&mut child, &mut reading, &session.handle).await?;
    drop((under_way, reader));
    session.client.end_shared_reads();
    let times = peer.account().times().since(&times_before);
    let Line::Done { bytes, wall_ns, first_byte_ns, gap_ns_max, blake3 } = done else {
        return Err(internal("ended without a result"));
    };
    spans::record_length(span, bytes);
    // The child's wall time begins and ends within ours, with nothing but the child
    // at work in between.
    let around_ns = times.total_ns().saturating_sub(wall_ns);
    spans::record_layers(span, &times.shortened(Layer::Fuse, around_ns));
    let digest = blake3::Hash::from_hex(&blake3).map_err(|_| internal("sent a bad digest"))?;
    Ok(wire::TransferDone {
        bytes,
        wall_ns,
        first_byte_ns,
        gap_ns_max,
        blake3: digest.as_bytes().to_vec(),
        chunk_bytes: reading.read_bytes,
        depth: 0,
        before,
        after: snapshot(&session),
        lanes: 1,
    })
}

/// Starts the reader: this executable under the daemon's name. It waits for the
/// end of its standard input before it opens the file.
fn spawn(reading: &Reading) -> Result<Child, Status> {
    let failed = |error| Status::internal(format!("cannot start the reading process: {error}"));
    let executable = std::env::current_exe().map_err(failed)?;
    Command::new(executable)
        .arg0("dropd")
        .args([OsStr::new("read"), OsStr::new("--read-bytes")])
        .arg(reading.read_bytes.to_string())
        .args(reading.rekeys.iter().map(|at| format!("--tell-at-bytes={at}")))
        .arg("--")
        .arg(&reading.file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)
}

/// Lets the child go, and follows what it tells. The last line.
async fn converse(
    child: &mut Child,
    reading: &mut Reading,
    session: &SessionHandle,
) -> Result<Line, Status> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(internal("has no pipes"));
    };
    drop(stdin);
    let mut lines = BufReader::new(stdout).lines();
    let mut complaint = String::new();
    let mut last = None;
    let follow = async {
        while let Some(line) = lines.next_line().await? {
            match serde_json::from_str(&line)? {
                Line::Progress { bytes, bytes_total } => {
                    reading.rekeys.rekey(std::slice::from_ref(session), bytes);
                    reading.progress.send_replace((bytes, bytes_total));
                }
                done @ Line::Done { .. } => last = Some(done),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let mut stderr = stderr.take(STDERR_BYTES_MAX);
    let (followed, _) = tokio::join!(follow, stderr.read_to_string(&mut complaint));
    followed.map_err(|error| internal(&format!("cannot be followed: {error}")))?;
    let status = child.wait().await.map_err(|error| internal(&error.to_string()))?;
    if !status.success() {
        return Err(Status::aborted(format!("{} ({status})", complaint.trim())));
    }
    last.ok_or_else(|| internal("ended without a result"))
}

fn internal(what: &str) -> Status {
    Status::internal(format!("the reading process {what}"))
}
