//! Commands in a container, through our own executable there: what it runs ends when
//! its standard input does, so nothing is left when we are killed.

use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ContainerPart;
use crate::testbed::contract::TESTBED_PATH;
use crate::testbed::parts::process::COMMAND_END_DEADLINE;
use crate::testbed::parts::{Chunk, Stream, VerbError};

/// Room for what the engine sends at once.
const OUTPUT_BYTES: usize = 256 * 1024;

/// From the end of its input to the end of a command: it is told twice to end.
const END_DEADLINE: Duration = Duration::from_secs(2 * COMMAND_END_DEADLINE.as_secs());

/// A command that runs in a container.
pub(in crate::testbed::parts) struct Inside {
    part: ContainerPart,
    id: String,
    pub(in crate::testbed::parts) output: BoxStream<'static, Result<Chunk, VerbError>>,
    pub(in crate::testbed::parts) input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Inside {
    /// Starts `dropbed inside <verb> <arguments>` in the container.
    pub(in crate::testbed::parts) async fn start(
        part: &ContainerPart,
        verb: &[&str],
        arguments: &[String],
    ) -> Result<Self, VerbError> {
        let own = [TESTBED_PATH, "inside"].iter().chain(verb).map(|word| (*word).to_owned());
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(own.chain(arguments.iter().cloned()).collect()),
            ..CreateExecOptions::<String>::default()
        };
        let what = "running a command in";
        let id = part.ask(what, part.docker.create_exec(&part.id, options)).await?.id;
        let start = StartExecOptions { output_capacity: Some(OUTPUT_BYTES), ..Default::default() };
        let started = part.ask(what, part.docker.start_exec(&id, Some(start))).await?;
        let StartExecResults::Attached { output, input } = started else {
            unreachable!("it was not asked to be detached");
        };
        let name = part.name.clone();
        let told = part.clone();
        let output = output
            .map_ok(move |output| chunk(&name, output))
            .map_err(move |error| told.failed("reading from", &error))
            .boxed();
        Ok(Self { part: part.clone(), id, output, input })
    }

    /// Tells what it says, to its end. Its exit code.
    pub(in crate::testbed::parts) async fn follow(
        mut self,
        output: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<u8, VerbError> {
        tokio::select! {
            told = tell(&mut self.output, &output) => told?,
            () = stop.cancelled() => {
                // Its end is what the executable in there waits for.
                let _gone_already = self.input.shutdown().await;
                let ending = timeout(END_DEADLINE, tell(&mut self.output, &output)).await;
                ending.map_err(|_| VerbError::TimedOut(format!(
                    "the command in {} is still there {END_DEADLINE:?} after it was told to end",
                    self.part.name
                )))??;
            }
        }
        self.code().await
    }

    /// What it ended with.
    pub(in crate::testbed::parts) async fn code(&self) -> Result<u8, VerbError> {
        let what = "asking how a command ended in";
        let found = self.part.ask(what, self.part.docker.inspect_exec(&self.id)).await?;
        // Still running here: the container was taken from under it.
        let name = &self.part.name;
        let gone = || VerbError::failed(format!("{name} ended, and the command with it"));
        found.exit_code.map(|code| u8::try_from(code).unwrap_or(u8::MAX)).ok_or_else(gone)
    }
}

async fn tell(
    from: &mut BoxStream<'static, Result<Chunk, VerbError>>,
    output: &mpsc::Sender<Chunk>,
) -> Result<(), VerbError> {
    while let Some(chunk) = from.try_next().await? {
        // Nobody reads any more; the command goes on to its end all the same.
        let _nobody = output.send(chunk).await;
    }
    Ok(())
}

fn chunk(part: &str, output: LogOutput) -> Chunk {
    let stream = match &output {
        LogOutput::StdErr { .. } => Stream::Stderr,
        _ => Stream::Stdout,
    };
    Chunk { part: part.to_owned(), stream, bytes: output.into_bytes().to_vec() }
}
