//! The testbed; under the name `dropd`, the daemon (see [`dropbed::cli`]).

fn main() {}
