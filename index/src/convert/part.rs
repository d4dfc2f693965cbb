//! Requests without some of their series.

use crate::wire::{Fields, WireError};

/// Returns a request of remote write 1.0 without the series at these positions, which ascend. All else stays as it is.
///
/// # Errors
/// If the request is not protobuf.
pub fn without_v1(body: &[u8], bad: &[usize]) -> Result<Vec<u8>, WireError> {
    without(body, 1, bad)
}

/// As [`without_v1`], for remote write 2.0.
///
/// # Errors
/// As [`without_v1`].
pub fn without_v2(body: &[u8], bad: &[usize]) -> Result<Vec<u8>, WireError> {
    without(body, 5, bad)
}

/// Leaves out occurrences of a field by their positions.
fn without(body: &[u8], number: u32, bad: &[usize]) -> Result<Vec<u8>, WireError> {
    let mut kept = Vec::with_capacity(body.len());
    let mut fields = Fields::new(body);
    let mut bad = bad.iter().peekable();
    let mut position = 0;
    let mut before = body;
    while let Some((found, _)) = fields.next()? {
        let is_bad = found == number && bad.next_if_eq(&&position).is_some();
        position += usize::from(found == number);
        if !is_bad {
            let length = before.len() - fields.rest().len();
            kept.extend_from_slice(before.get(..length).unwrap_or_default());
        }
        before = fields.rest();
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_other_fields_stay_as_they_are() {
        // Series a, b and c around metadata.
        let body = b"\x0a\x01a\x1a\x02mm\x0a\x01b\x0a\x01c";
        assert_eq!(without_v1(body, &[]).unwrap(), body);
        assert_eq!(without_v1(body, &[0, 2]).unwrap(), b"\x1a\x02mm\x0a\x01b");
        assert_eq!(without_v2(b"\x22\x00\x2a\x01a\x2a\x01b", &[1]).unwrap(), b"\x22\x00\x2a\x01a");
        assert!(without_v1(b"\x0a\x05a", &[]).is_err());
    }
}
