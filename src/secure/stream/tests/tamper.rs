//! Somebody on the way, who works on whole records.

use super::*;

const RECORDS: usize = 12;
const RECORD_BYTES: usize = 1_000;
/// The record that is worked on, of data records 0 to 11 and the close.
const TARGET: usize = 5;

/// What the sender writes, and the records that come of it: the last is the close.
async fn sent(suite: Suite, limits: RekeyLimits) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (a, mut wire) = duplex(1 << 20);
    let mut sender = stream_in(suite, a, Side::Dialled, limits);
    let plain = bytes(RECORDS * RECORD_BYTES, 6);
    for part in plain.chunks(RECORD_BYTES) {
        sender.write_all(part).await.unwrap();
    }
    sender.shutdown().await.unwrap();
    drop(sender);
    let mut all = Vec::new();
    wire.read_to_end(&mut all).await.unwrap();
    let mut records = Vec::new();
    let mut rest = all.as_slice();
    while let Some(header) = rest.first_chunk::<HEADER_BYTES>() {
        let (record, later) = rest.split_at(Header::parse(header).unwrap().wire_bytes());
        records.push(record.to_vec());
        rest = later;
    }
    assert!(rest.is_empty());
    (plain, records)
}

/// What a receiver gives out of these bytes, and how it ends.
async fn receive(suite: Suite, side: Side, wire_bytes: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let wire = tokio::io::join(wire_bytes, tokio::io::sink());
    let mut receiver = stream_in(suite, wire, side, NO_LIMIT);
    let mut plain = Vec::new();
    let mut part = [0; 333];
    loop {
        match receiver.read(&mut part).await {
            Ok(0) => return (plain, Ok(())),
            Ok(length) => plain.extend_from_slice(&part[..length]),
            Err(error) => return (plain, Err(error)),
        }
    }
}

/// The session ends in an error, and what came out before is the beginning of what
/// was sent: exactly so many records.
async fn caught(suite: Suite, records: &[Vec<u8>], plain: &[u8], intact: usize) -> RecordError {
    let (received, end) = receive(suite, Side::Accepted, &records.concat()).await;
    let error = end.expect_err("nobody noticed");
    assert!(received == plain[..intact * RECORD_BYTES], "wrong bytes came out");
    record_error(&error)
}

#[tokio::test]
async fn untouched_records_arrive() {
    for suite in Suite::ALL {
        let (plain, records) = sent(suite, NO_LIMIT).await;
        assert_eq!(records.len(), RECORDS + 1);
        let (received, end) = receive(suite, Side::Accepted, &records.concat()).await;
        end.unwrap();
        assert!(received == plain);
    }
}

#[tokio::test]
async fn every_flipped_byte_is_caught() {
    for suite in Suite::ALL {
        let (plain, records) = sent(suite, NO_LIMIT).await;
        for at in 0..records[TARGET].len() {
            for flip in [0x01, 0x80] {
                let mut changed = records.clone();
                changed[TARGET][at] ^= flip;
                let error = caught(suite, &changed, &plain, TARGET).await;
                assert!(comes_of_a_flip_at(at, error), "byte {at}: {error:?}");
            }
        }
    }
}

fn comes_of_a_flip_at(at: usize, error: RecordError) -> bool {
    match at {
        // A longer length swallows what follows, or waits for it.
        0..4 => matches!(
            error,
            RecordError::Length(_) | RecordError::Forged { .. } | RecordError::Truncated
        ),
        4..16 => matches!(error, RecordError::OutOfOrder { .. }),
        // Ciphertext and tag.
        _ => matches!(error, RecordError::Forged { epoch: 0, counter: 5 }),
    }
}

#[tokio::test]
async fn a_dropped_record_is_caught() {
    for suite in Suite::ALL {
        let (plain, mut records) = sent(suite, NO_LIMIT).await;
        records.remove(TARGET);
        let error = caught(suite, &records, &plain, TARGET).await;
        let expected = RecordError::OutOfOrder {
            expected_epoch: 0,
            expected_counter: 5,
            found_epoch: 0,
            found_counter: 6,
        };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn a_repeated_record_is_caught() {
    for suite in Suite::ALL {
        let (plain, mut records) = sent(suite, NO_LIMIT).await;
        records.insert(TARGET, records[TARGET - 1].clone());
        let error = caught(suite, &records, &plain, TARGET).await;
        assert!(matches!(
            error,
            RecordError::OutOfOrder { expected_counter: 5, found_counter: 4, .. }
        ));
    }
}

#[tokio::test]
async fn swapped_records_are_caught() {
    for suite in Suite::ALL {
        let (plain, mut records) = sent(suite, NO_LIMIT).await;
        records.swap(TARGET, TARGET + 1);
        let error = caught(suite, &records, &plain, TARGET).await;
        assert!(matches!(
            error,
            RecordError::OutOfOrder { expected_counter: 5, found_counter: 6, .. }
        ));
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_caught() {
    for suite in Suite::ALL {
        let (plain, records) = sent(suite, NO_LIMIT).await;
        let all = records.concat();
        for cut in (0..all.len()).step_by(97).chain([all.len() - 1]) {
            let (received, end) = receive(suite, Side::Accepted, &all[..cut]).await;
            assert_eq!(record_error(&end.unwrap_err()), RecordError::Truncated, "cut at {cut}");
            assert!(received == plain[..received.len()]);
            assert_eq!(received.len() % RECORD_BYTES, 0, "part of a record came out");
        }
        // Cut exactly between two records, and just before the close.
        for count in [1, TARGET, RECORDS] {
            let error = caught(suite, &records[..count], &plain, count).await;
            assert_eq!(error, RecordError::Truncated);
        }
    }
}

#[tokio::test]
async fn a_record_after_the_close_is_caught() {
    for suite in Suite::ALL {
        let (plain, mut records) = sent(suite, NO_LIMIT).await;
        records.push(records[0].clone());
        assert_eq!(caught(suite, &records, &plain, RECORDS).await, RecordError::AfterClose);
    }
}

#[tokio::test]
async fn reflected_records_are_caught() {
    for suite in Suite::ALL {
        let (_, records) = sent(suite, NO_LIMIT).await;
        let (received, end) = receive(suite, Side::Dialled, &records.concat()).await;
        assert!(received.is_empty());
        let error = record_error(&end.unwrap_err());
        assert_eq!(error, RecordError::Forged { epoch: 0, counter: 0 });
    }
}

#[tokio::test]
async fn a_dropped_or_repeated_key_update_is_caught() {
    for suite in Suite::ALL {
        let limits = RekeyLimits { records: 4, ..NO_LIMIT };
        let (plain, records) = sent(suite, limits).await;
        // Data 0 to 3, update, data 4 to 7, update, data 8 to 11, close.
        assert_eq!(records.len(), RECORDS + 3);
        let mut dropped = records.clone();
        dropped.remove(4);
        let error = caught(suite, &dropped, &plain, 4).await;
        assert!(matches!(error, RecordError::OutOfOrder { expected_epoch: 0, found_epoch: 1, .. }));
        let mut repeated = records.clone();
        repeated.insert(4, records[4].clone());
        let error = caught(suite, &repeated, &plain, 4).await;
        assert!(matches!(error, RecordError::OutOfOrder { expected_epoch: 1, found_epoch: 0, .. }));
    }
}

#[tokio::test]
async fn a_length_that_no_record_has_ends_the_session_at_once() {
    for suite in Suite::ALL {
        for length in [0, 1, 28, 64 << 20, u32::MAX] {
            let mut header = [0; HEADER_BYTES];
            header[..4].copy_from_slice(&u32::to_be_bytes(length));
            let (received, end) = receive(suite, Side::Accepted, &header).await;
            assert!(received.is_empty());
            let error = record_error(&end.unwrap_err());
            assert!(
                matches!(error, RecordError::Length(found) if found.found == length),
                "{error:?}"
            );
        }
    }
}
