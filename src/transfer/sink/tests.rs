use super::*;

/// A disk that is full after some bytes.
struct Full {
    room_bytes: usize,
}

impl Write for Full {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.room_bytes == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = data.len().min(self.room_bytes);
        self.room_bytes -= length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn full_disk_says_how_far_it_came() {
    let (queue, mut messages) = mpsc::channel(4);
    for _ in 0..3 {
        queue.try_send(Message::Data(Bytes::from_static(b"12345678"))).unwrap();
    }
    let mut full = Full { room_bytes: 20 };
    let error = drain(&mut messages, &mut full, &Account::new(), &Span::none()).unwrap_err();
    assert_eq!((error.0, error.1, error.2.kind()), ("write", 16, io::ErrorKind::StorageFull));
}

#[tokio::test]
async fn short_file_never_gets_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let destination = directory.path().join("f");
    let sink = Sink::file(&destination, 10, Account::new(), Span::none());
    assert!(sink.write(Bytes::from_static(b"123456789")).await);
    let error = sink.commit().await.unwrap_err();
    assert_eq!((error.action, error.written_bytes, error.size_bytes), ("finish", 9, 10));
    assert!(names(directory.path()).is_empty());
}

#[tokio::test]
async fn given_up_file_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let sink = Sink::file(&directory.path().join("f"), 10, Account::new(), Span::none());
    assert!(sink.write(Bytes::from_static(b"1")).await);
    let Sink { queue, thread } = sink;
    drop(queue);
    assert_eq!(thread.await.unwrap().unwrap(), None);
    assert!(names(directory.path()).is_empty());
}

#[tokio::test]
async fn name_that_cannot_be_taken_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let destination = directory.path().join("taken");
    std::fs::create_dir(&destination).unwrap();
    let sink = Sink::file(&destination, 1, Account::new(), Span::none());
    sink.write(Bytes::from_static(b"1")).await;
    assert_eq!(sink.commit().await.unwrap_err().action, "rename");
    assert_eq!(names(directory.path()), ["taken"]);
}

#[test]
fn leftovers_of_a_killed_daemon_go() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".partial-x"), "half").unwrap();
    std::fs::write(directory.path().join("whole"), "whole").unwrap();
    remove_partials(directory.path()).unwrap();
    assert_eq!(names(directory.path()), ["whole"]);
}
