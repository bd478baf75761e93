//! Exit codes of `dropbed`, as its help lists them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, and everything that was asserted holds.
    Pass,
    /// An assertion of the scenario failed.
    Assertion,
    /// The input is wrong: a file, a flag, a value.
    BadInput,
    /// This machine lacks something.
    Environment,
    /// The harness or a peer failed: no result, rather than a bad one.
    Harness,
    /// A deadline passed.
    TimedOut,
    /// Ctrl-C or SIGTERM, after clean-up.
    Interrupted,
    /// What a command that was run elsewhere ended with.
    Command(u8),
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Assertion => 1,
            Self::BadInput => 2,
            Self::Environment => 3,
            Self::Harness => 4,
            Self::TimedOut => 5,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
