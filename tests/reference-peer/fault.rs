//! Faults on request: a testbed that passes whatever a peer does would be no test.

/// `REFERENCE_FAULT`: what is wrong with the bytes that this peer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// One bit of the first byte of each answer.
    Flip,
    /// The peer ends with this exit code at the first byte that it is asked for.
    Exit(i32),
}

impl Fault {
    pub(crate) fn from_environment() -> Result<Self, String> {
        let Ok(text) = std::env::var("REFERENCE_FAULT") else { return Ok(Self::None) };
        let code = text.strip_prefix("exit=").and_then(|code| code.parse().ok());
        match (text.as_str(), code) {
            ("flip", _) => Ok(Self::Flip),
            (_, Some(code)) => Ok(Self::Exit(code)),
            _ => Err(format!("REFERENCE_FAULT `{text}` is neither `flip` nor `exit=<code>`")),
        }
    }

    /// Spoils the first bytes of an answer, or ends the process.
    #[allow(clippy::exit, reason = "an end without clean-up is the fault that is asked for")]
    pub(crate) fn strike(self, bytes: &mut [u8]) {
        match (self, bytes) {
            (Self::Flip, [first, ..]) => *first ^= 1,
            (Self::Exit(code), _) => {
                eprintln!("reference peer: ending with {code}, as REFERENCE_FAULT says");
                std::process::exit(code);
            }
            _ => {}
        }
    }
}
