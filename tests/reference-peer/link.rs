//! Between reference peers: path, offset and length there, bytes back.
//!
//! A request is `u16 path length | path | u64 offset | u64 length`, an answer
//! `u64 size of the file | u64 bytes that follow | the bytes`, all big-endian. No path
//! is a ping, no length asks for the size, [`NO_FILE`] as a size is a refusal.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};

use crate::fault::Fault;
use crate::files::Files;

/// Says that there is no such file.
const NO_FILE: u64 = u64::MAX;

/// Bytes that one side reads or writes at a time.
const PIECE_BYTES: u64 = 64 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) path: &'a str,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// What is coming.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) file_bytes: u64,
    pub(crate) bytes: u64,
}

/// Serves whoever dials, until the process ends.
pub(crate) async fn serve(listener: TcpListener, files: Arc<Files>, fault: Fault) {
    while let Ok((stream, _)) = listener.accept().await {
        let files = Arc::clone(&files);
        tokio::spawn(async move {
            // A reader that has all it wants just closes.
            match serve_one(stream, &files, fault).await {
                Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                    eprintln!("reference peer: a reader: {error}");
                }
                Ok(()) | Err(_) => {}
            }
        });
    }
}

async fn serve_one(stream: TcpStream, files: &Files, fault: Fault) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut path = vec![0; usize::from(read.read_u16().await?)];
        read.read_exact(&mut path).await?;
        let path = String::from_utf8(path).map_err(io::Error::other)?;
        let (offset, length) = (read.read_u64().await?, read.read_u64().await?);
        if path.is_empty() {
            head(&mut write, 0, 0).await?;
            continue;
        }
        let opened = match files.shared(&path) {
            Ok(path) => File::open(path).await,
            Err(error) => Err(error),
        };
        let Ok(mut file) = opened else {
            head(&mut write, NO_FILE, 0).await?;
            continue;
        };
        let file_bytes = file.metadata().await?.len();
        let mut left = file_bytes.saturating_sub(offset).min(length);
        head(&mut write, file_bytes, left).await?;
        file.seek(io::SeekFrom::Start(offset)).await?;
        let mut piece = vec![0; usize::try_from(PIECE_BYTES.min(left)).map_err(io::Error::other)?];
        let mut fault = fault;
        while left > 0 {
            let length = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            file.read_exact(&mut piece[..length]).await?;
            std::mem::replace(&mut fault, Fault::None).strike(&mut piece[..length]);
            write.write_all(&piece[..length]).await?;
            left -= length as u64;
        }
    }
}

/// One write, so that a ping is one packet each way.
async fn head(write: &mut (impl AsyncWrite + Unpin), size: u64, bytes: u64) -> io::Result<()> {
    let head = [size.to_be_bytes(), bytes.to_be_bytes()].concat();
    write.write_all(&head).await
}

/// Asks, in one write.
pub(crate) async fn ask(write: &mut (impl AsyncWrite + Unpin), ask: Ask<'_>) -> io::Result<()> {
    let length = u16::try_from(ask.path.len()).map_err(io::Error::other)?;
    let mut request = length.to_be_bytes().to_vec();
    request.extend_from_slice(ask.path.as_bytes());
    request.extend_from_slice(&ask.offset.to_be_bytes());
    request.extend_from_slice(&ask.length.to_be_bytes());
    write.write_all(&request).await
}

/// The head of an answer; its bytes come next.
pub(crate) async fn answer(read: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let (file_bytes, bytes) = (read.read_u64().await?, read.read_u64().await?);
    if file_bytes == NO_FILE {
        return Err(io::Error::new(ErrorKind::NotFound, "the peer has no such file"));
    }
    Ok(Answer { file_bytes, bytes })
}
