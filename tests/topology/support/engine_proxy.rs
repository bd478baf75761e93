//! An engine that can die at will: a way to the real one, cut when told.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Where the engine listens unless `DOCKER_HOST` says otherwise.
const SOCKET_DEFAULT: &str = "/var/run/docker.sock";

/// Passes connections on to the engine; nothing once it was cut or dropped.
#[derive(Debug)]
pub(crate) struct EngineProxy {
    socket: PathBuf,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_cut: AtomicBool,
    /// Both ends of every connection.
    streams: Mutex<Vec<UnixStream>>,
}

impl EngineProxy {
    /// Listens at `socket`; none when the engine is not reached by a unix socket.
    pub(crate) fn start(socket: &Path) -> Option<Self> {
        let engine = match std::env::var("DOCKER_HOST") {
            Ok(host) => host.strip_prefix("unix://")?.to_owned(),
            Err(_) => SOCKET_DEFAULT.to_owned(),
        };
        let listener = UnixListener::bind(socket).expect("the directory is ours");
        let shared = Arc::new(Shared::default());
        let accepted = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a unix socket accepts");
                if accepted.is_cut.load(Ordering::SeqCst) {
                    return;
                }
                let server = UnixStream::connect(&engine).expect("the engine listens");
                accepted.join(&client, &server);
                accepted.join(&server, &client);
            }
        });
        Some(Self { socket: socket.to_owned(), shared, accepting: Some(accepting) })
    }

    /// `DOCKER_HOST` of who is to use it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Ends all connections, and takes no more.
    pub(crate) fn cut(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.shared.is_cut.store(true, Ordering::SeqCst);
        // Wakes the thread, which then looks.
        drop(UnixStream::connect(&self.socket));
        accepting.join().expect("the thread does not panic");
        std::fs::remove_file(&self.socket).expect("the socket is ours");
        for stream in self.shared.streams().drain(..) {
            // It may have been closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for EngineProxy {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Shared {
    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<UnixStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies one way until that way ends.
    fn join(&self, from: &UnixStream, to: &UnixStream) {
        let clone = |stream: &UnixStream| stream.try_clone().expect("there are descriptors");
        let (mut reader, mut writer) = (clone(from), clone(to));
        self.streams().push(clone(from));
        thread::spawn(move || {
            // An error is the cut.
            let _copied = std::io::copy(&mut reader, &mut writer);
            let _closed = writer.shutdown(Shutdown::Write);
        });
    }
}
