//! How large things may be. One set of constants, enforced on write first and on read by the same
//! numbers, so that nothing can be written that cannot be read back.

/// The longest record, and the longest config file, in bytes.
pub const RECORD_MAX: usize = 64 << 20;

/// The longest key of an object, in bytes of UTF-8.
pub const KEY_MAX: usize = 1024;

/// Segments, sequences and revisions count no further: whatever says otherwise was not written by us.
pub(crate) const COUNT_MAX: u64 = (1 << 44) - 1;

/// How deep containers may nest, and so how many segments a path may have.
///
/// Small enough that code which follows the nesting by recursion stays far from the end of any
/// thread's stack.
pub const DEPTH_MAX: usize = 128;

/// What is large is worked through so many bytes at a time. Between two pieces whoever waits for a processor has a turn: a
/// thread that goes on without a pause may be left several milliseconds, and an edit whose sync has ended waits for them.
pub(crate) const PIECE: usize = 32 * 1024;

/// The pieces of something large, with a turn for others between them.
pub(crate) fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(PIECE).inspect(|piece| {
        if piece.len() == PIECE {
            std::thread::yield_now();
        }
    })
}
