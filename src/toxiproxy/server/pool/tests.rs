use super::*;

#[test]
fn a_small_read_does_not_hold_a_large_buffer() {
    let pool = Arc::new(Pool::default());
    let small = pool.fill(pool.buffer(), COPY_BYTES_MAX);
    assert_eq!(pool.buffers.items().len(), 1, "the buffer is back already");
    let large = pool.fill(pool.buffer(), COPY_BYTES_MAX + 1);
    assert_eq!(pool.buffers.items().len(), 0);
    let half = large.slice(..10);
    drop(large);
    assert_eq!(pool.buffers.items().len(), 0, "a part still holds it");
    drop(half);
    assert_eq!(pool.buffers.items().len(), 1);
    assert_eq!(small.len(), COPY_BYTES_MAX);
}

#[test]
fn spare_buffers_are_bounded() {
    let pool = Pool::default();
    for _ in 0..2 * BUFFERS_SPARE_MAX {
        pool.put_back(vec![0; READ_BYTES_MAX]);
    }
    assert_eq!(pool.buffers.items().len(), BUFFERS_SPARE_MAX);
}

#[test]
fn a_connection_with_little_always_has_room() {
    let pool = Pool::default();
    assert!(pool.has_room(usize::MAX));
    pool.held(0, HELD_BYTES_MAX);
    assert!(!pool.has_room(HELD_SHARE_MIN) && pool.has_room(HELD_SHARE_MIN - 1));
    pool.held(HELD_BYTES_MAX, 5);
    assert!(pool.has_room(usize::MAX));
}

#[test]
fn a_pipe_is_used_again() {
    let pool = Pool::default();
    let pipe = pool.pipe().unwrap();
    assert!(pipe.capacity_bytes >= 4096);
    let is_large = pipe.capacity_bytes >= PIPE_BYTES;
    pool.put_back_pipe(pipe);
    assert_eq!(pool.pipes.items().len(), usize::from(is_large));
    let _pipe = pool.pipe().unwrap();
    assert!(pool.pipes.items().is_empty());
}
