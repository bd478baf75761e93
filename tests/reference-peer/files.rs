//! The share and the downloads.

use std::io;
use std::path::{Component, Path, PathBuf};

use dropbed::sample::Sample;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Bytes read at a time for a digest.
const BLOCK_BYTES: usize = 256 << 10;

/// Where files are.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) share: PathBuf,
    pub(crate) downloads: PathBuf,
}

impl Files {
    /// A file of the share.
    pub(crate) fn shared(&self, path: &str) -> io::Result<PathBuf> {
        within(&self.share, path)
    }

    /// A file among the downloads.
    pub(crate) fn download(&self, name: &str) -> io::Result<PathBuf> {
        within(&self.downloads, name)
    }

    /// Writes the file that the seed makes; its digest.
    pub(crate) async fn make(&self, path: &str, seed: u64, size: u64) -> io::Result<blake3::Hash> {
        let path = self.shared(path)?;
        tokio::fs::create_dir_all(path.parent().unwrap_or(&self.share)).await?;
        let mut file = File::create(path).await?;
        let (mut sample, mut hasher) = (Sample::new(seed, size), blake3::Hasher::new());
        while let Some(block) = sample.next_block() {
            hasher.update(block);
            file.write_all(block).await?;
        }
        file.flush().await?;
        Ok(hasher.finalize())
    }

    /// Size and digest, read from disk.
    pub(crate) async fn digest(path: &Path) -> io::Result<(u64, blake3::Hash)> {
        let mut file = File::open(path).await?;
        let mut hasher = blake3::Hasher::new();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            match file.read(&mut block).await? {
                0 => return Ok((hasher.count(), hasher.finalize())),
                length => hasher.update(&block[..length]),
            };
        }
    }
}

/// Refuses what leads out of the directory.
fn within(directory: &Path, path: &str) -> io::Result<PathBuf> {
    let is_inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !is_inside {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no such path: {path}")));
    }
    Ok(directory.join(path))
}
