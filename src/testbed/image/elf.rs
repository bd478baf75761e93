//! Whether an executable runs without a dynamic loader. Pure.

/// Program header that names a loader (System V gABI, "Program Loading").
const PT_INTERP: u32 = 3;

/// Offsets in the 64-bit file header: `e_phoff`, `e_phentsize`, `e_phnum`.
const PHOFF_AT: usize = 32;
const PHENTSIZE_AT: usize = 54;
const PHNUM_AT: usize = 56;

/// Magic, `ELFCLASS64` and `ELFDATA2LSB`.
const IDENT: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];

/// Why a file is no executable that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// Another format, or another class of machine.
    #[error("it is no 64-bit little-endian ELF executable")]
    Format,
    /// A header points behind the end.
    #[error("it is truncated")]
    Truncated,
}

/// Whether no program header asks for a loader; true of static-pie as well.
///
/// # Errors
/// [`ElfError`] for any other file.
pub fn is_static(file: &[u8]) -> Result<bool, ElfError> {
    if !file.starts_with(&IDENT) {
        return Err(ElfError::Format);
    }
    let offset = usize::try_from(u64::from_le_bytes(array(file, PHOFF_AT)?))
        .map_err(|_| ElfError::Truncated)?;
    let size = usize::from(u16::from_le_bytes(array(file, PHENTSIZE_AT)?));
    let count = usize::from(u16::from_le_bytes(array(file, PHNUM_AT)?));
    for index in 0..count {
        let at = index.checked_mul(size).and_then(|at| at.checked_add(offset));
        let kind = u32::from_le_bytes(array(file, at.ok_or(ElfError::Truncated)?)?);
        if kind == PT_INTERP {
            return Ok(false);
        }
    }
    Ok(true)
}

fn array<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], ElfError> {
    file.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(ElfError::Truncated)
}
