//! Protobuf's wire format, as far as ONNX needs it: the fields of one message, in place.
//!
//! A decoder made of a schema would copy every tensor and build an object for every two bytes of a hostile file. Here a
//! message is its bytes, whoever reads it goes through its fields once, and nested messages are entered by name only, so that
//! their depth is the schema's.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// An integer of up to 64 bits.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Four bytes.
    Fixed32([u8; 4]),
    /// A text, a message, or a row of numbers.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Bytes, if it is that; nothing otherwise, as for a field that is not there.
    pub(super) fn bytes(self) -> &'a [u8] {
        if let Self::Bytes(bytes) = self { bytes } else { &[] }
    }

    /// A text; what is not one is empty.
    pub(super) fn text(self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// An integer, if it is that.
    pub(super) fn integer(self) -> Option<i64> {
        if let Self::Varint(value) = self { Some(value as i64) } else { None }
    }

    /// A number of 32 bits, if it is that.
    pub(super) fn float(self) -> Option<f32> {
        if let Self::Fixed32(raw) = self { Some(f32::from_le_bytes(raw)) } else { None }
    }

    /// The integers of a field that may be packed into one or stand alone, one after the other: a packed one of eight bytes each
    /// would be eight times what the file has.
    pub(super) fn integers(self) -> impl Iterator<Item = Result<i64, String>> {
        let (mut alone, mut packed, sound) = match self {
            Self::Varint(value) => (Some(value), &[][..], true),
            Self::Bytes(bytes) => (None, bytes, true),
            _ => (None, &[][..], false),
        };
        let mut wrong = (!sound).then(broken);
        std::iter::from_fn(move || match (wrong.take(), alone.take()) {
            (Some(reason), _) => Some(Err(reason)),
            (None, Some(value)) => Some(Ok(value as i64)),
            (None, None) if packed.is_empty() => None,
            (None, None) => {
                let value = varint(&mut packed);
                // What is broken is broken once.
                packed = if value.is_err() { &[] } else { packed };
                Some(value.map(|value| value as i64))
            }
        })
    }
}

/// The fields of a message, in the order of the file: number and value.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn read(&mut self) -> Result<(u64, Value<'a>), String> {
        let tag = varint(&mut self.0)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(self.0.split_off(..8).and_then(|b| b.try_into().ok()).ok_or_else(truncated)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| truncated())?;
                Value::Bytes(self.0.split_off(..length).ok_or_else(truncated)?)
            }
            5 => Value::Fixed32(self.0.split_off(..4).and_then(|b| b.try_into().ok()).ok_or_else(truncated)?),
            // Groups went out of use before ONNX began.
            _ => return Err(broken()),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// An integer in groups of seven bits, the lowest first.
fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first().ok_or_else(truncated)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(broken())
}

fn truncated() -> String {
    "is an ONNX model that ends within a field: it is truncated; download it again".into()
}

fn broken() -> String {
    "is no sound ONNX model: a field is of no type that protobuf has; download or export it again".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, String> {
        Fields::of(message).collect()
    }

    #[test]
    fn fields_are_read_in_order() {
        // 1: 300, 2: "ab", 3: 1.0f32, 4: eight bytes.
        let message =
            [&[0x08, 0xac, 0x02, 0x12, 2, b'a', b'b', 0x1d][..], &1.0f32.to_le_bytes(), &[0x21], &[7; 8]].concat();
        let fields = all(&message).unwrap();
        assert_eq!(fields[0], (1, Value::Varint(300)));
        assert_eq!((fields[1].1.text(), fields[2].1.float()), ("ab", Some(1.0)));
        assert_eq!(fields[3], (4, Value::Fixed64([7; 8])));
        let numbers = |value: Value<'_>| value.integers().collect::<Result<Vec<i64>, String>>();
        assert_eq!(numbers(Value::Bytes(&[1, 0xac, 2])), Ok(vec![1, 300]));
        assert_eq!(numbers(Value::Varint(7)), Ok(vec![7]));
        assert!(numbers(Value::Fixed32([0; 4])).unwrap_err().contains("no sound"));
        assert!(numbers(Value::Bytes(&[1, 0xac])).unwrap_err().contains("truncated"));
        let minus = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(numbers(Value::Bytes(&minus)), Ok(vec![-1]));
    }

    #[test]
    fn what_ends_early_or_is_of_no_type_is_refused() {
        let message = [0x08, 0xac, 0x02, 0x12, 2, b'a', b'b'];
        for cut in [1, 2, 4, 5, 6] {
            assert!(all(&message[..cut]).unwrap_err().contains("truncated"), "{cut}");
        }
        assert!(all(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap_err().contains("truncated"));
        assert!(all(&[0x0b]).unwrap_err().contains("no sound"));
        assert!(all(&[0x80; 11]).unwrap_err().contains("no sound"));
    }
}
