use std::io::{Cursor, Write as _};

use super::*;

fn tail(text: &str, lines: u64) -> String {
    let mut log = Cursor::new(text.as_bytes());
    seek_to_tail(&mut log, lines).unwrap();
    let mut rest = String::new();
    Read::read_to_string(&mut log, &mut rest).unwrap();
    rest
}

#[test]
fn the_last_lines_are_counted_from_the_end() {
    assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
    assert_eq!(tail("a\nb\nc", 2), "b\nc");
    assert_eq!(tail("a\nb\n", 5), "a\nb\n");
    assert_eq!(tail("a\nb\n", 0), "");
    assert_eq!(tail("", 3), "");
    let long = format!("{}\n", "x".repeat(BLOCK_BYTES));
    assert_eq!(tail(&long.repeat(3), 2), long.repeat(2));
}

#[tokio::test]
async fn a_file_is_followed_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bob.log");
    std::fs::write(&path, "old\nlast\n").unwrap();
    let (output, mut told) = mpsc::channel(8);
    let over = CancellationToken::new();
    let until = over.clone();
    let log = path.clone();
    let telling = tokio::spawn(async move {
        let until = Box::pin(async move { until.cancelled().await });
        file("bob", &log, Some(1), Some(until), &output).await
    });
    assert_eq!(told.recv().await.unwrap().bytes, b"last\n");
    let mut log = std::fs::File::options().append(true).open(&path).unwrap();
    log.write_all(b"new\n").unwrap();
    assert_eq!(told.recv().await.unwrap().bytes, b"new\n");
    log.write_all(b"words\n").unwrap();
    over.cancel();
    assert_eq!(told.recv().await.unwrap().bytes, b"words\n");
    telling.await.unwrap().unwrap();
    assert_eq!(told.recv().await, None);
}

#[test]
fn logs_of_a_run_that_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let none = finished(directory.path(), &[]).unwrap_err().to_string();
    assert!(none.contains("ls --all"), "{none}");
    let logs = directory.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    for name in ["bob.log", "alice.log", "other"] {
        std::fs::write(logs.join(name), "").unwrap();
    }
    let names = |of: &[&str]| {
        let of: Vec<String> = of.iter().map(|name| (*name).to_owned()).collect();
        let found = finished(directory.path(), &of);
        found.map(|found| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    assert_eq!(names(&[]).unwrap(), ["alice", "bob"]);
    assert_eq!(names(&["bob"]).unwrap(), ["bob"]);
    let unknown = names(&["bib"]).unwrap_err().to_string();
    assert!(unknown.contains("did you mean `bob`?"), "{unknown}");
}
