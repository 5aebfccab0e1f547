//! Protocol Buffers encoder (wire format): a message is a sequence of fields, each a key (field number and wire type) and
//! a value.

/// Wire type of integers.
const VARINT: u64 = 0;
/// Wire type of length-delimited fields: bytes, strings, submessages.
const BYTES: u64 = 2;
/// Wire type of 32-bit floats.
const FIXED32: u64 = 5;

/// The encoded fields of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Appends an integer field (`int32`, `int64`, `enum`).
    pub(super) fn int(mut self, field: u64, value: i64) -> Self {
        self.key(field, VARINT);
        // Negative numbers are encoded as 64-bit two's complement, ten bytes.
        self.varint(value as u64);
        self
    }

    /// Appends a `float` field.
    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends a `bytes` field.
    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.key(field, BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Appends a `string` field.
    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// Appends a submessage field.
    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// Appends a repeated field: `add` appends one item.
    pub(super) fn each<T>(self, items: impl IntoIterator<Item = T>, add: impl Fn(Self, T) -> Self) -> Self {
        items.into_iter().fold(self, add)
    }

    /// Returns the encoded message.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Appends a field's key: field number and wire type.
    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// Appends a number in base 128, low digits first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of the documentation of the protobuf encoding.
    #[test]
    fn fields_are_encoded_as_documented() {
        assert_eq!(Message::default().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        let inner = Message::default().int(1, 150);
        let outer = Message::default().message(3, &inner).into_bytes();
        assert_eq!(outer, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing").into_bytes();
        assert_eq!(text, *b"\x12\x07testing");
        let negative = Message::default().int(1, -2).into_bytes();
        assert_eq!(negative, *b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        assert_eq!(
            Message::default().float(2, 1.0).into_bytes(),
            [0x15, 0, 0, 0x80, 0x3f]
        );
    }
}
