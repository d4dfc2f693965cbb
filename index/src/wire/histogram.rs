//! Native histograms: whether their counts fit together, by the rules of Prometheus (`histogram.Validate`).

use super::protobuf::varint;
use super::{Field, Fields, WireError};

/// The buckets of one sign, or of both.
#[derive(Clone, Copy, Debug, Default)]
struct Buckets {
    /// Number that the spans announce.
    announced: u64,
    found: u64,
    /// Sum of the counts of an integer histogram.
    sum: u128,
    is_negative: bool,
}

/// Checks all native histograms of a series; `number` is their field in its message: 4 in remote write 1.0, 3 in 2.0.
///
/// # Errors
/// With the reason, if the buckets of a histogram do not fit its spans, a bucket is less than zero, or the buckets of a
/// histogram of integers are not its count.
pub(super) fn check(series: &[u8], number: u32) -> Result<(), &'static str> {
    const BAD: &str = "a native histogram of the series is not protobuf";
    let mut fields = Fields::new(series);
    while let Some((found, field)) = fields.next().map_err(|_| BAD)? {
        if found == number {
            one(field.bytes(found).map_err(|_| BAD)?).map_err(|_| BAD)??;
        }
    }
    Ok(())
}

fn one(message: &[u8]) -> Result<Result<(), &'static str>, WireError> {
    let mut fields = Fields::new(message);
    let (mut count, mut zero, mut sum) = (None, 0_u64, 0.0_f64);
    let (mut negative, mut positive) = (Buckets::default(), Buckets::default());
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => count = Some(field.varint(number)?),
            3 => sum = field.double(number)?,
            6 => zero = field.varint(number)?,
            8 => negative.announced += span(field.bytes(number)?)?,
            9 => negative.deltas(field)?,
            10 => negative.floats(field),
            11 => positive.announced += span(field.bytes(number)?)?,
            12 => positive.deltas(field)?,
            13 => positive.floats(field),
            _ => {}
        }
    }
    for buckets in [negative, positive] {
        if buckets.found != buckets.announced {
            return Ok(Err("a native histogram has another number of buckets than its spans"));
        }
        if buckets.is_negative {
            return Ok(Err("a native histogram has a bucket of less than zero"));
        }
    }
    let Some(count) = count else { return Ok(Ok(())) };
    let (count, observed) = (u128::from(count), u128::from(zero) + negative.sum + positive.sum);
    // Observations that are NaN are in no bucket.
    let fits = if sum.is_nan() { observed <= count } else { observed == count };
    Ok(if fits { Ok(()) } else { Err("the buckets of a native histogram are not its count") })
}

impl Buckets {
    /// Adds buckets of an integer histogram, packed or one of them: each is the difference to the one before.
    fn deltas(&mut self, field: Field<'_>) -> Result<(), WireError> {
        let Field::Bytes(mut packed) = field else { return Ok(()) };
        let mut bucket = 0_i64;
        while !packed.is_empty() {
            let zigzag = varint(&mut packed)?;
            bucket = bucket.wrapping_add((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            self.found += 1;
            self.is_negative |= bucket < 0;
            self.sum += u128::from(bucket.unsigned_abs());
        }
        Ok(())
    }

    fn floats(&mut self, field: Field<'_>) {
        let Field::Bytes(packed) = field else { return };
        for bytes in packed.chunks_exact(8) {
            let bucket = bytes.try_into().map(f64::from_le_bytes).unwrap_or_default();
            self.found += 1;
            self.is_negative |= bucket < 0.0;
        }
    }
}

/// Returns the length of a span of buckets.
fn span(message: &[u8]) -> Result<u64, WireError> {
    let mut fields = Fields::new(message);
    let mut length = 0;
    while let Some((number, field)) = fields.next()? {
        if number == 2 {
            length = u64::from(field.varint(number)? as u32);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::check;

    /// A series with one histogram: count, then buckets of one span of two.
    fn series(count: u8, deltas: &[u8]) -> Vec<u8> {
        let mut histogram = vec![0x08, count, 0x5a, 2, 0x10, 2, 0x62, deltas.len() as u8];
        histogram.extend(deltas);
        let mut series = vec![0x1a, histogram.len() as u8];
        series.extend(histogram);
        series
    }

    #[test]
    fn buckets_are_the_count() {
        // 3, then one less than it: zigzag 6 and 1.
        assert_eq!(check(&series(5, &[6, 1]), 3), Ok(()));
        assert_eq!(check(&series(6, &[6, 1]), 3), Err("the buckets of a native histogram are not its count"));
        assert!(check(&series(3, &[6]), 3).unwrap_err().contains("spans"));
        assert!(check(&series(2, &[6, 7]), 3).unwrap_err().contains("less than zero"));
        assert!(check(&[0x1a, 1, 0xff], 3).unwrap_err().contains("protobuf"));
        assert_eq!(check(&series(6, &[6, 1]), 4), Ok(()), "the other version has another field");
    }
}
