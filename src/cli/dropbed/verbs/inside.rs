//! `dropbed inside`: the part of `exec` and `cp` that runs in a container.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::Subcommand;
use tokio::task::spawn_blocking;

use crate::cli::exit::Exit;
use crate::testbed::parts::inside;

/// Verbs of `dropbed inside`.
#[derive(Debug, Subcommand)]
pub(in crate::cli::dropbed) enum InsideVerb {
    /// Run a command, and end it when standard input ends.
    Exec {
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Write a file or a directory to standard output as an archive.
    Pack {
        /// Which.
        #[arg(last = true, required = true)]
        path: PathBuf,
    },
    /// Put an archive on standard input in its place.
    Unpack {
        /// The place, and the name in it where it is a directory.
        #[arg(last = true, required = true, num_args = 2)]
        place: Vec<OsString>,
    },
}

pub(in crate::cli::dropbed) async fn run(verb: InsideVerb) -> Exit {
    let work = match verb {
        InsideVerb::Exec { command } => return Exit::Command(inside::exec(&command).await),
        InsideVerb::Pack { path } => {
            let packing = spawn_blocking(move || inside::pack(&path));
            tokio::select! {
                packed = packing => packed,
                // Nobody takes it any more.
                () = inside::end_of_input() => return Exit::Interrupted,
            }
        }
        InsideVerb::Unpack { place } => {
            let [path, name] = place.as_slice() else { return Exit::BadInput };
            let (path, name) = (PathBuf::from(path), name.to_string_lossy().into_owned());
            spawn_blocking(move || inside::unpack(&path, &name)).await
        }
    };
    match work.map_err(io::Error::other).flatten() {
        Ok(()) => Exit::Pass,
        Err(error) => {
            eprintln!("error: {error}");
            if inside::is_input(&error) { Exit::BadInput } else { Exit::Harness }
        }
    }
}
