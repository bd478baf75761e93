//! The daemon and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    dropbed::cli::dropd::main(std::env::args_os())
}
