//! Room for what runs write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Check;

/// Room for test files, caches and the image of one run.
const BYTES_WANTED: u64 = 4 << 30;

/// A disk that is a dead server's does not answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Of run directories and of the directory for temporary files, in which the process
/// runtime puts shares.
pub(super) async fn checks(runs: &Path) -> Vec<Check> {
    let (runs, temporary) = tokio::join!(
        check("disk (runs)", runs.to_owned()),
        check("disk (temporary)", std::env::temp_dir()),
    );
    vec![runs, temporary]
}

/// Of one directory, or of the nearest above it that is there.
pub(super) async fn check(name: &'static str, directory: PathBuf) -> Check {
    const HINT: &str = "free some, or make smaller samples";
    let asked = directory.clone();
    let asking = spawn_blocking(move || {
        let there = nearest(&asked).ok_or(rustix::io::Errno::NOENT)?;
        let space = rustix::fs::statvfs(&there)?;
        Ok::<_, rustix::io::Errno>((space.f_bavail.saturating_mul(space.f_frsize), there))
    });
    let place = directory.display();
    match timeout(DEADLINE, asking).await {
        Ok(Ok(Ok((free_bytes, there)))) => {
            let detail = format!("{} MiB free at {}", free_bytes >> 20, there.display());
            if free_bytes < BYTES_WANTED {
                Check::warning(name, detail, HINT)
            } else {
                Check::ok(name, detail)
            }
        }
        Ok(Ok(Err(error))) => {
            Check::warning(name, format!("{place}: {error}"), "name a directory that is there")
        }
        Ok(Err(error)) => Check::warning(name, format!("{place}: {error}"), HINT),
        Err(_) => {
            let detail = format!("{place}: no answer within {DEADLINE:?}");
            Check::warning(name, detail, "look at what is mounted there")
        }
    }
}

fn nearest(directory: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(directory).ok()?;
    absolute.ancestors().find(|path| path.is_dir()).map(Path::to_owned)
}
