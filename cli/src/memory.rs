//! The memory that one answer of a server may fill. A limit of bytes is not enough: a short text such as `{"labels":{}}`
//! becomes maps that need forty times its length.
//!
//! The limit belongs to the thread that decodes the answer, so that a deserializer of any depth can charge it. The costs
//! are estimates, a little above what the allocator takes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

/// The first node of a map from text to text, which has room for eleven entries.
const MAP: usize = 600;
/// An entry of such a map: nodes are half full, and the allocator rounds up.
const ENTRY: usize = 160;

thread_local! {
    /// The limit, and what is left of it.
    static LEFT: Cell<(usize, Option<usize>)> = const { Cell::new((usize::MAX, Some(usize::MAX))) };
}

/// The answer needs more memory than it may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full(usize);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "decoded, the answer needs more than {} bytes of memory; check the server at this address",
            self.0
        )
    }
}

impl std::error::Error for Full {}

/// Begins an answer on this thread.
pub(crate) fn limit(bytes: usize) {
    LEFT.set((bytes, Some(bytes)));
}

/// Returns the error of the answer if it exceeded the limit.
pub(crate) fn exceeded() -> Option<Full> {
    let (limit, left) = LEFT.get();
    left.is_none().then_some(Full(limit))
}

/// Charges what the answer keeps.
///
/// # Errors
/// The limit is exceeded, now or before.
pub(crate) fn charge(bytes: usize) -> Result<(), Full> {
    let (limit, left) = LEFT.get();
    let left = left.and_then(|left| left.checked_sub(bytes));
    LEFT.set((limit, left));
    if left.is_some() { Ok(()) } else { Err(Full(limit)) }
}

/// Returns what was charged for something that is no longer kept.
pub(crate) fn refund(bytes: usize) {
    let (limit, left) = LEFT.get();
    LEFT.set((limit, left.map(|left| left.saturating_add(bytes).min(limit))));
}

/// Returns the cost of an empty map of labels.
pub(crate) fn of_map() -> usize {
    MAP
}

/// Returns the cost of a label in its map.
pub(crate) fn of_label(name: &str, value: &str) -> usize {
    ENTRY + name.len() + value.len()
}

/// Returns the cost of labels.
pub(crate) fn of_labels(labels: &BTreeMap<String, String>) -> usize {
    MAP + labels.iter().map(|(name, value)| of_label(name, value)).sum::<usize>()
}

/// Returns the cost of a value of JSON that may be kept, by the byte that begins it or separates it from the next.
pub(crate) fn of_json(byte: u8) -> usize {
    match byte {
        b'{' => MAP,
        b'[' | b',' => ENTRY,
        _ => 0,
    }
}
