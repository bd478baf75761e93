//! The testbed; started under the name `dropd`, the daemon. One file is both, so
//! that `cargo run` builds all that a run needs, and an image is one file.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let is_daemon = name.as_deref().is_some_and(|name| Path::new(name).ends_with("dropd"));
    let all = name.into_iter().chain(arguments);
    if is_daemon { dropbed::cli::dropd::main(all) } else { dropbed::cli::dropbed::main(all) }
}
