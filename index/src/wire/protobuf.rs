//! The encoding of protobuf: fields of a message, one by one.

use std::fmt;

/// The reason why bytes are not a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WireError {
    /// The message ends within a field.
    Truncated,
    /// A number has more than 10 bytes.
    LongVarint,
    /// A field has the number 0, or one that is too large.
    FieldNumber,
    /// A field has a type that does not exist, or is a group, which remote write does not have.
    WireType(u8),
    /// A field that has another type in this message.
    WrongType(u32),
    /// More symbols than a request may have.
    TooManySymbols(usize),
    /// A field of the other version of remote write, which a request of this one never has.
    OtherVersion(u32),
}

/// The value of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'b [u8]),
    Fixed32(u32),
}

/// The fields of a message. After an error it has no more fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    pub(crate) fn new(message: &'b [u8]) -> Self {
        Self { rest: message }
    }

    /// The bytes that were not read yet.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// Reads number and value of the next field.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'b>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        field.map(Some)
    }

    #[inline]
    fn field(&mut self) -> Result<(u32, Field<'b>), WireError> {
        let key = u32::try_from(varint(&mut self.rest)?).map_err(|_| WireError::FieldNumber)?;
        let number = key >> 3;
        if number == 0 {
            return Err(WireError::FieldNumber);
        }
        let value = match key & 7 {
            0 => Field::Varint(varint(&mut self.rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| WireError::Truncated)?;
                let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
                self.rest = rest;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(WireError::WireType(other as u8)),
        };
        Ok((number, value))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

impl<'b> Field<'b> {
    /// The bytes of a field that must have some.
    #[inline]
    pub(crate) fn bytes(self, number: u32) -> Result<&'b [u8], WireError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(WireError::WrongType(number)) }
    }

    /// The number of a field that must be one.
    pub(crate) fn varint(self, number: u32) -> Result<u64, WireError> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(WireError::WrongType(number)) }
    }

    /// The float of a field that must be one.
    pub(crate) fn double(self, number: u32) -> Result<f64, WireError> {
        if let Self::Fixed64(bits) = self {
            Ok(f64::from_bits(bits))
        } else {
            Err(WireError::WrongType(number))
        }
    }
}

/// Reads name and value of a label: both protocols have them in the fields 1 and 2.
#[inline]
pub(crate) fn label_bytes(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut fields = Fields::new(message);
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.bytes(number)?,
            2 => value = field.bytes(number)?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Reads a number of up to 10 bytes.
#[inline]
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    // Nearly all are of one byte (keys, lengths of names and values) or two (references, lengths of series).
    match *rest {
        [byte @ ..0x80, after @ ..] => {
            *rest = after;
            Ok(u64::from(*byte))
        }
        [low, high @ ..0x80, after @ ..] => {
            *rest = after;
            Ok(u64::from(*high) << 7 | u64::from(*low & 0x7f))
        }
        [] => Err(WireError::Truncated),
        _ => long_varint(rest),
    }
}

fn long_varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(WireError::Truncated)?;
        *rest = after;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return Err(WireError::LongVarint);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(WireError::LongVarint)
}

/// Appends a number.
pub(crate) fn write_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is not the protobuf of its content type: ")?;
        match self {
            Self::Truncated => f.write_str("a field is longer than its message"),
            Self::LongVarint => f.write_str("a number has more than 10 bytes"),
            Self::FieldNumber => f.write_str("a field has an invalid number"),
            Self::WireType(found) => write!(f, "a field has the unknown wire type {found}"),
            Self::WrongType(number) => write!(f, "field {number} has the wire type of another field"),
            Self::TooManySymbols(limit) => write!(f, "the request has more than {limit} symbols"),
            Self::OtherVersion(number @ 1..=3) => {
                write!(f, "field {number} is one of remote write 1.0, the content type says 2.0")
            }
            Self::OtherVersion(number) => {
                write!(f, "field {number} is one of remote write 2.0, the content type says 1.0")
            }
        }
    }
}

impl std::error::Error for WireError {}
