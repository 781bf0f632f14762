//! The machine's cursor: numbers, strings and bytes that lie in the program.

use super::machine::Machine;
use super::value::{Node, Span};

impl<'a> Machine<'a> {
    /// Adds a string that follows in the program.
    pub(super) fn string(&mut self, length: u64) -> Result<(), String> {
        let start = self.at;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        // Both fit, as the program is shorter than 2^32.
        let span = Span { start: start as u32, length: (self.at - start) as u32 };
        self.push(Node::Text(span))
    }

    /// Passes over bytes, of which nothing is kept.
    pub(super) fn bytes(&mut self, length: u64) -> Result<(), String> {
        self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        self.push(Node::Plain)
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
}
