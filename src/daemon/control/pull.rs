//! The call `Pull`.

use std::path::PathBuf;

use tonic::{Request, Response, Status};

use super::progress::events;
use super::rekeys::Positions;
use super::{Control, Events, files, snapshot};
use crate::proto::control as wire;
use crate::proto::control::destination::To;
use crate::secure::lane::LANES_MAX;
use crate::telemetry::propagate;
use crate::transfer::limits::{
    CHUNK_BYTES_DEFAULT, DEPTH_DEFAULT, LANES_DEFAULT, PART_BYTES_DEFAULT,
};
use crate::transfer::pull::{PullError, PullMode, Target, pull};

impl Control {
    pub(super) fn start_pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<Events>, Status> {
        let traceparent = propagate::extract(&request).map(str::to_owned);
        let mut request = request.into_inner();
        let mut rekeys = Positions::new(std::mem::take(&mut request.rekey_at_bytes))?;
        let mode = mode(&request)?;
        let target = self.target(request.destination)?;
        let peer = self.peer(&request.peer)?;
        let transfer = |progress: super::progress::Progress| async move {
            let session = peer.session().await?;
            if let PullMode::Push { lanes: lanes @ 2.., .. } = mode {
                peer.widen(&session, lanes).await;
            }
            session.handle.measure_gaps_from_now();
            let connections = session.handles();
            let before = snapshot(&session);
            let parent = traceparent.as_deref();
            let pulled =
                pull(&session.client, &request.path, mode, &target, parent, |bytes, total| {
                    rekeys.rekey(&connections, bytes);
                    progress.send_replace((bytes, total));
                })
                .await
                .map_err(status)?;
            let (chunk_bytes, depth) = match mode {
                PullMode::Push { part_bytes, .. } => (part_bytes, 0),
                PullMode::RequestResponse { chunk_bytes, depth } => (chunk_bytes, depth),
            };
            Ok(wire::TransferDone {
                bytes: pulled.bytes,
                wall_ns: pulled.wall_ns,
                first_byte_ns: pulled.first_byte_ns,
                gap_ns_max: pulled.gap_ns_max,
                blake3: pulled.blake3.map(|hash| hash.as_bytes().to_vec()).unwrap_or_default(),
                chunk_bytes,
                depth,
                before,
                after: snapshot(&session),
                lanes: u32::try_from(pulled.lanes).unwrap_or(u32::MAX),
            })
        };
        Ok(Response::new(events(transfer, self.core.stop.clone())))
    }

    fn target(&self, destination: Option<wire::Destination>) -> Result<Target, Status> {
        match destination.and_then(|destination| destination.to) {
            Some(To::Download(name)) => Ok(Target::File(files::download(&self.core, &name)?)),
            Some(To::Path(_)) if !self.is_local => Err(Status::permission_denied(
                "a path at the daemon can only be written through its unix socket",
            )),
            Some(To::Path(path)) if PathBuf::from(&path).is_absolute() => {
                Ok(Target::File(path.into()))
            }
            Some(To::Path(path)) => {
                Err(Status::invalid_argument(format!("destination `{path}` is not absolute")))
            }
            Some(To::HashOnly(true)) => Ok(Target::Hash),
            Some(To::HashOnly(false)) | None => {
                Err(Status::invalid_argument("the pull has no destination"))
            }
        }
    }
}

fn mode(request: &wire::PullRequest) -> Result<PullMode, Status> {
    let or = |asked: u32, default: u32| if asked == 0 { default } else { asked };
    match request.mode() {
        wire::Mode::Push if request.depth == 0 => Ok(PullMode::Push {
            part_bytes: or(request.chunk_bytes, PART_BYTES_DEFAULT),
            lanes: lanes(request.lanes)?,
        }),
        wire::Mode::Push => {
            Err(Status::invalid_argument("a push has no depth; it is for request-response"))
        }
        wire::Mode::RequestResponse if request.lanes > 1 => Err(Status::invalid_argument(
            "only a push has lanes; more requests in flight do it here",
        )),
        wire::Mode::RequestResponse => Ok(PullMode::RequestResponse {
            chunk_bytes: or(request.chunk_bytes, CHUNK_BYTES_DEFAULT),
            depth: or(request.depth, DEPTH_DEFAULT),
        }),
        wire::Mode::Unspecified => Err(Status::invalid_argument("the pull has no mode")),
    }
}

fn lanes(asked: u32) -> Result<u8, Status> {
    match u8::try_from(asked) {
        Ok(0) => Ok(LANES_DEFAULT),
        Ok(lanes) if lanes <= LANES_MAX => Ok(lanes),
        _ => {
            Err(Status::invalid_argument(format!("lanes {asked} is not between 1 and {LANES_MAX}")))
        }
    }
}

fn status(error: PullError) -> Status {
    match error {
        PullError::Fetch(error) => error.into(),
        PullError::Sink(error) => Status::aborted(error.to_string()),
        PullError::Size { .. } | PullError::Directory { .. } => {
            Status::invalid_argument(error.to_string())
        }
    }
}
