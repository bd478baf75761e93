//! `dropbed graph`: a topology as a picture.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::commands::{explain, print};
use crate::cli::exit::Exit;
use crate::testbed::plan;
use crate::testbed::plan::graph::{Format, graph};

const EXAMPLES: &str = "\
Examples:
  dropbed graph topologies/star-8.yaml
  dropbed graph topologies/star-8.yaml --format dot | dot -Tsvg > star-8.svg
  dropbed graph topologies/two-peer.yaml --format mermaid --set rtt=100ms

An edge without an arrow: both ends dial. With one: only the end that it starts from.

Exit codes: 0 done, 2 the file or an override is wrong.";

/// Arguments of `dropbed graph`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GraphArgs {
    /// The topology (YAML).
    file: PathBuf,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    format: GraphFormat,
    /// Override a value of the file.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    /// For Markdown that draws it, such as GitHub's.
    Mermaid,
    /// For Graphviz.
    Dot,
    /// For a terminal.
    #[default]
    Ascii,
}

/// Prints the graph, or what is wrong with the file.
pub(super) fn run(arguments: &GraphArgs) -> Exit {
    let format = match arguments.format {
        GraphFormat::Mermaid => Format::Mermaid,
        GraphFormat::Dot => Format::Dot,
        GraphFormat::Ascii => Format::Ascii,
    };
    match plan::load(&arguments.file, &arguments.sets) {
        Ok((_, plan)) => {
            print(&graph(&plan, format));
            Exit::Pass
        }
        Err(diagnostics) => explain(&diagnostics),
    }
}
