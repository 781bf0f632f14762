//! The machine's cursor: numbers, strings and bytes that lie in the program, and what is said of a program that is none.

use super::super::{DOWNLOAD, SAVE_STATE};
use super::machine::Machine;
use super::value::{Coding, MOST, MOST_TENSORS, Node, Span};

impl<'a> Machine<'a> {
    /// Adds a string that follows in the program.
    pub(super) fn string(&mut self, length: u64) -> Result<(), String> {
        let start = self.at;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        // Both fit, as the program is shorter than 2^32.
        let span = Span { start: start as u32, length: (self.at - start) as u32 };
        self.push(Node::Text(span))
    }

    /// Passes over bytes, of which their place is kept.
    pub(super) fn bytes(&mut self, length: u64) -> Result<(), String> {
        let start = self.at;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        // Both fit, as the program is shorter than 2^32.
        self.push(Node::Data(Coding::Raw, Span { start: start as u32, length: (self.at - start) as u32 }))
    }

    /// A number in a line: INT, which may be a bool, LONG or FLOAT.
    pub(super) fn number(&mut self, opcode: u8) -> Result<Node, String> {
        let line = self.line()?;
        let digits = std::str::from_utf8(super::text(self.program, line)).unwrap_or_default().trim_end_matches('\r');
        Ok(match (opcode, digits) {
            (b'F', _) => Node::Plain,
            (b'I', "00") => Node::Bool(false),
            (b'I', "01") => Node::Bool(true),
            _ => match digits.trim_end_matches('L').parse() {
                Ok(value) => Node::Int(value),
                // Of more than 8 bytes, as random generators' states have.
                Err(_) if digits.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit() || b == b'L') => {
                    Node::Plain
                }
                Err(_) => return Err(self.corrupt("has an integer that is none")),
            },
        })
    }

    /// A string in a line: UNICODE, or STRING with its quotes.
    pub(super) fn line_of_text(&mut self, opcode: u8) -> Result<Node, String> {
        let Span { start, length } = self.line()?;
        if opcode == b'V' {
            let span = Span { start, length };
            let plain = super::text(self.program, span).iter().all(|&b| b.is_ascii() && b != b'\\');
            return Ok(if plain { Node::Text(span) } else { Node::Data(Coding::Unicode, span) });
        }
        let quoted = super::text(self.program, Span { start, length });
        let [open, .., close] = *quoted else { return Err(self.corrupt("has a string without quotes")) };
        if open != close || !matches!(open, b'\'' | b'"') {
            return Err(self.corrupt("has a string without quotes"));
        }
        let span = Span { start: start + 1, length: length - 2 };
        let plain = !super::text(self.program, span).contains(&b'\\');
        Ok(if plain { Node::Text(span) } else { Node::Data(Coding::Quoted, span) })
    }

    /// A place of the memo, in a line.
    pub(super) fn index(&mut self) -> Result<u32, String> {
        let line = self.line()?;
        let digits = std::str::from_utf8(super::text(self.program, line)).unwrap_or_default();
        digits.parse().map_err(|_| self.corrupt("numbers a value by something that is no number"))
    }

    /// A little-endian integer. Of more than 8 bytes, as random generators' states have, nothing is kept.
    pub(super) fn integer(&mut self, length: usize) -> Result<Node, String> {
        let digits = self.take(length)?;
        if digits.len() > 8 {
            return Ok(Node::Plain);
        }
        let negative = digits.last().is_some_and(|&top| top >= 0x80);
        let mut value = [if negative { 0xff } else { 0 }; 8];
        value.iter_mut().zip(digits).for_each(|(to, from)| *to = *from);
        Ok(Node::Int(i64::from_le_bytes(value)))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.program[self.at..].get(..count).ok_or_else(|| self.ends())?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    /// Bytes up to a line feed, which is passed over.
    pub(super) fn line(&mut self) -> Result<Span, String> {
        let rest = &self.program[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.ends())?;
        // Both fit, as the program is shorter than 2^32.
        let span = Span { start: self.at as u32, length: length as u32 };
        self.at += length + 1;
        Ok(span)
    }

    /// The message for a program that does not end.
    pub(super) fn ends(&self) -> String {
        match self.longer {
            true => {
                format!("has a pickle of more than {} bytes, far more than weights need: {SAVE_STATE}", self.longest)
            }
            false => {
                let at = self.opcode_at;
                format!("is truncated or corrupt: its pickle ends in the instruction at byte {at}: {DOWNLOAD}")
            }
        }
    }

    /// The message for a program that grows over the bounds.
    pub(super) fn full(&self) -> String {
        let bounds = format!("{MOST} values or {MOST_TENSORS} tensors");
        format!("has a pickle of more than {bounds}, far more than weights need: {SAVE_STATE}")
    }

    /// The message for a program that makes no sense.
    pub(super) fn corrupt(&self, what: &str) -> String {
        format!("is corrupt: its pickle {what} (at its byte {}): {DOWNLOAD}", self.opcode_at)
    }
}
