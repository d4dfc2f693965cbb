//! Protobuf's text format, as `prototext` of protobuf-go writes it. That library varies the spaces from build to build; here
//! they are the usual ones.

use std::fmt::Write;

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

use super::number::go;

/// A field of a message, in the order of its declaration.
struct Field(u32, &'static str, Kind);

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Double,
    /// A number without a sign, or a number whose sign is not encoded apart.
    Whole,
    Signed,
    Type,
    Message(&'static [Field]),
}

use Kind::{Double, Message, Signed, Text, Type, Whole};

const FAMILY: &[Field] = &[
    Field(1, "name", Text),
    Field(2, "help", Text),
    Field(3, "type", Type),
    Field(4, "metric", Message(METRIC)),
];
const METRIC: &[Field] = &[
    Field(1, "label", Message(LABEL)),
    Field(2, "gauge", Message(VALUE)),
    Field(3, "counter", Message(COUNTER)),
    Field(4, "summary", Message(SUMMARY)),
    Field(5, "untyped", Message(VALUE)),
    Field(7, "histogram", Message(HISTOGRAM)),
    Field(6, "timestamp_ms", Whole),
];
const LABEL: &[Field] = &[Field(1, "name", Text), Field(2, "value", Text)];
const VALUE: &[Field] = &[Field(1, "value", Double)];
const COUNTER: &[Field] = &[
    Field(1, "value", Double),
    Field(2, "exemplar", Message(EXEMPLAR)),
    Field(3, "created_timestamp", Message(TIME)),
];
const EXEMPLAR: &[Field] =
    &[Field(1, "label", Message(LABEL)), Field(2, "value", Double), Field(3, "timestamp", Message(TIME))];
const TIME: &[Field] = &[Field(1, "seconds", Whole), Field(2, "nanos", Whole)];
const SUMMARY: &[Field] = &[
    Field(1, "sample_count", Whole),
    Field(2, "sample_sum", Double),
    Field(3, "quantile", Message(&[Field(1, "quantile", Double), Field(2, "value", Double)])),
    Field(4, "created_timestamp", Message(TIME)),
];
const HISTOGRAM: &[Field] = &[
    Field(1, "sample_count", Whole),
    Field(4, "sample_count_float", Double),
    Field(2, "sample_sum", Double),
    Field(3, "bucket", Message(BUCKET)),
    Field(15, "created_timestamp", Message(TIME)),
    Field(5, "schema", Signed),
    Field(6, "zero_threshold", Double),
    Field(7, "zero_count", Whole),
    Field(8, "zero_count_float", Double),
    Field(9, "negative_span", Message(SPAN)),
    Field(10, "negative_delta", Signed),
    Field(11, "negative_count", Double),
    Field(12, "positive_span", Message(SPAN)),
    Field(13, "positive_delta", Signed),
    Field(14, "positive_count", Double),
    Field(16, "exemplars", Message(EXEMPLAR)),
];
const BUCKET: &[Field] = &[
    Field(1, "cumulative_count", Whole),
    Field(4, "cumulative_count_float", Double),
    Field(2, "upper_bound", Double),
    Field(3, "exemplar", Message(EXEMPLAR)),
];
const SPAN: &[Field] = &[Field(1, "offset", Signed), Field(2, "length", Whole)];

/// An encoded value.
#[derive(Clone, Copy)]
enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
}

/// Appends a family, which is encoded after its length, and a line end: on one line if `is_compact`, else one line for each
/// value and an empty line.
pub(super) fn write(out: &mut Vec<u8>, mut family: &[u8], is_compact: bool) {
    if decode_varint(&mut family).is_ok() {
        let mut text = String::new();
        Writer { out: &mut text, is_compact }.fields(FAMILY, family, 0);
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

struct Writer<'o> {
    out: &'o mut String,
    is_compact: bool,
}

impl Writer<'_> {
    /// Writes the fields of a message; what this version does not know is left out.
    fn fields(&mut self, fields: &[Field], message: &[u8], depth: usize) {
        let values = decode(message);
        let mut is_first = true;
        for Field(number, name, kind) in fields {
            let found = values.iter().filter(|(other, _)| other == number);
            for value in found.flat_map(|(_, value)| unpacked(*kind, *value)) {
                match self.is_compact {
                    true if !is_first => self.out.push(' '),
                    true => {}
                    false => self.indent(depth),
                }
                is_first = false;
                *self.out += name;
                *self.out += if self.is_compact { ":" } else { ": " };
                self.value(*kind, value, depth);
                if !self.is_compact {
                    self.out.push('\n');
                }
            }
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth));
    }

    fn value(&mut self, kind: Kind, value: Value<'_>, depth: usize) {
        // Writing to a text never fails.
        let _ = match (kind, value) {
            (Message(fields), Value::Bytes(message)) => {
                let is_open = !self.is_compact && !message.is_empty();
                *self.out += if is_open { "{\n" } else { "{" };
                self.fields(fields, message, depth + 1);
                if is_open {
                    self.indent(depth);
                }
                self.out.push('}');
                Ok(())
            }
            (Text, Value::Bytes(text)) => self.text(text),
            (Double, Value::Number(bits)) => {
                let text = go(f64::from_bits(bits));
                *self.out += match text.as_str() {
                    "NaN" => "nan",
                    "+Inf" => "inf",
                    "-Inf" => "-inf",
                    text => text,
                };
                Ok(())
            }
            (Signed, Value::Number(number)) => {
                write!(self.out, "{}", (number >> 1).cast_signed() ^ -(number & 1).cast_signed())
            }
            (Type, Value::Number(number)) => {
                let types = ["COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM"];
                let name = usize::try_from(number).ok().and_then(|number| types.get(number));
                write!(self.out, "{}", name.copied().unwrap_or("UNTYPED"))
            }
            (_, Value::Number(number)) => write!(self.out, "{}", number.cast_signed()),
            (_, Value::Bytes(_)) => Ok(()),
        };
    }

    fn text(&mut self, text: &[u8]) -> std::fmt::Result {
        self.out.push('"');
        for part in text.utf8_chunks() {
            for letter in part.valid().chars() {
                match letter {
                    '"' | '\\' => write!(self.out, "\\{letter}")?,
                    '\n' => *self.out += "\\n",
                    '\r' => *self.out += "\\r",
                    '\t' => *self.out += "\\t",
                    '\0'..' ' | '\x7f' => write!(self.out, "\\x{:02x}", u32::from(letter))?,
                    '\u{80}'..='\u{9f}' => write!(self.out, "\\u{:04x}", u32::from(letter))?,
                    letter => self.out.push(letter),
                }
            }
            for byte in part.invalid() {
                write!(self.out, "\\x{byte:02x}")?;
            }
        }
        self.out.push('"');
        Ok(())
    }
}

/// Decodes the fields of a message until its end, or to the first that is corrupt.
fn decode(mut message: &[u8]) -> Vec<(u32, Value<'_>)> {
    let mut values = Vec::new();
    while let Some(value) = field(&mut message) {
        values.push(value);
    }
    values
}

fn field<'m>(rest: &mut &'m [u8]) -> Option<(u32, Value<'m>)> {
    let (number, kind) = decode_key(rest).ok()?;
    let value = match kind {
        WireType::Varint => Value::Number(decode_varint(rest).ok()?),
        WireType::SixtyFourBit => Value::Number(rest.try_get_u64_le().ok()?),
        WireType::ThirtyTwoBit => Value::Number(rest.try_get_u32_le().ok()?.into()),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        WireType::StartGroup | WireType::EndGroup => return None,
    };
    Some((number, value))
}

/// Returns the numbers of a packed list, or the value itself.
fn unpacked(kind: Kind, value: Value<'_>) -> Vec<Value<'_>> {
    match (kind, value) {
        (Double, Value::Bytes(mut list)) => {
            std::iter::from_fn(|| list.try_get_u64_le().ok().map(Value::Number)).collect()
        }
        (Whole | Signed | Type, Value::Bytes(mut list)) => {
            std::iter::from_fn(|| decode_varint(&mut list).ok().map(Value::Number)).collect()
        }
        (_, value) => vec![value],
    }
}
