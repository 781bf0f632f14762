//! The machine: a cursor, a stack, marks and the memo.

use super::super::SAVE_STATE;
use super::value::{Arena, Full, Id, MOST, Node};
use super::{Pickle, opcode};

/// Longest program read. Ten thousand tensors take 2 MB.
const LONGEST: usize = 64 << 20;

/// Runs the pickle at the start of `bytes`, which may go on after it.
pub(in super::super) fn run(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    let machine = Machine::new(bytes, LONGEST);
    if machine.program.first().is_some_and(|&first| first != 0x80) {
        return Err(machine.corrupt("begins with no protocol version"));
    }
    machine.finish()
}

/// Runs the pickle at the start of `bytes` that has its arrays' elements within, and may be of any protocol.
pub(in super::super) fn run_whole(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    Machine::new(bytes, u32::MAX as usize).finish()
}

/// A pickle being run.
pub(super) struct Machine<'a> {
    pub program: &'a [u8],
    /// Most bytes of the program, and whether the file goes on after them.
    pub longest: usize,
    pub longer: bool,
    /// Where to read on.
    pub at: usize,
    /// Where the instruction at work began.
    pub opcode_at: usize,
    pub arena: Arena,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Vec<Id>,
    /// Number of values in the memo.
    memoized: usize,
    /// Why the file is to be refused, unless a name of it turns out to be used as it may be.
    pub suspect: Option<String>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], longest: usize) -> Self {
        Self {
            program: bytes.get(..longest).unwrap_or(bytes),
            longest,
            longer: bytes.len() > longest,
            at: 0,
            opcode_at: 0,
            arena: Arena::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            memoized: 0,
            suspect: None,
        }
    }

    /// Runs to the end.
    fn finish(mut self) -> Result<Pickle<'a>, String> {
        // Protocols before 2 do not say which they are.
        if self.program.first() == Some(&0x80) {
            self.at = 1;
            let protocol = self.byte()?;
            if !(2..=5).contains(&protocol) {
                return Err(self.corrupt(&format!("claims protocol {protocol}, and there are 2 to 5")));
            }
        }
        let root = loop {
            if let Some(root) = self.step()? {
                break root;
            }
        };
        Ok(Pickle { program: self.program, root, length: self.at, arena: self.arena })
    }

    /// Runs one instruction; returns the result of the last.
    fn step(&mut self) -> Result<Option<Id>, String> {
        self.opcode_at = self.at;
        let opcode = self.byte()?;
        match opcode {
            b'.' => return self.unsuspected().and_then(|()| self.stop()).map(Some),
            // A frame only groups instructions; that it ends within the file is all there is to it.
            0x95 => {
                let length = u64::from_le_bytes(self.array()?);
                if usize::try_from(length).map_or(true, |length| length > self.program.len() - self.at) {
                    return Err(self.ends());
                }
            }
            b'(' => {
                if self.marks.len() >= MOST {
                    return Err(self.full());
                }
                self.marks.push(self.stack.len());
            }

            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let length = self.byte()?;
                let value = self.integer(length.into())?;
                self.push(value)?;
            }
            0x8b => {
                let length = i32::from_le_bytes(self.array()?);
                let length =
                    usize::try_from(length).map_err(|_| self.corrupt("has an integer of a negative length"))?;
                let value = self.integer(length)?;
                self.push(value)?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Node::Plain)?;
            }
            b'C' => {
                let length = self.byte()?;
                self.bytes(length.into())?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.array()?);
                self.bytes(length.into())?;
            }
            0x8e | 0x96 => {
                let length = u64::from_le_bytes(self.array()?);
                self.bytes(length)?;
            }
            b'U' | 0x8c => {
                let length = self.byte()?;
                self.string(length.into())?;
            }
            b'T' | b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.string(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.array()?);
                self.string(length)?;
            }

            b')' => self.push(Node::Tuple(Default::default()))?,
            b'}' => self.push(Node::Dict(Default::default()))?,
            b']' => self.push(Node::List(Default::default()))?,
            0x85..=0x87 => self.gather(usize::from(opcode - 0x84), Node::Tuple)?,
            b't' => {
                let count = self.marked()?;
                self.gather(count, Node::Tuple)?;
            }
            b'l' => {
                let count = self.marked()?;
                self.gather(count, Node::List)?;
            }
            b'd' => {
                let count = self.marked_pairs()?;
                self.gather(count, Node::Dict)?;
            }
            // Of a set nothing is kept.
            0x8f => self.push(Node::Plain)?,
            0x91 => {
                let count = self.marked()?;
                self.drop_last(count)?;
                self.push(Node::Plain)?;
            }
            0x90 => {
                let count = self.marked()?;
                match self.container(count)?.1 {
                    Node::Plain | Node::Opaque(_) => self.drop_last(count)?,
                    _ => return Err(self.corrupt("adds to something that is no set")),
                }
            }
            b'a' => self.extend(1)?,
            b's' => self.extend_dict(2)?,
            b'e' => {
                let count = self.marked()?;
                self.extend(count)?;
            }
            b'u' => {
                let count = self.marked_pairs()?;
                self.extend_dict(count)?;
            }

            // What contains itself is taken off the stack again and recalled.
            b'0' => self.drop_last(1)?,
            b'1' => {
                let count = self.marked()?;
                self.drop_last(count)?;
            }

            // Of protocols 0 and 1, in lines of text.
            b'I' | b'L' | b'F' => {
                let value = self.number(opcode)?;
                self.push(value)?;
            }
            b'V' | b'S' => {
                let value = self.line_of_text(opcode)?;
                self.push(value)?;
            }
            b'p' => {
                let index = self.index()?;
                self.put(index)?;
            }
            b'g' => {
                let index = self.index()?;
                self.get(index)?;
            }

            b'q' => {
                let index = self.byte()?;
                self.put(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.put(index)?;
            }
            // What the memo numbers cannot pass, it has not passed: `put` refuses.
            0x94 => self.put(u32::try_from(self.memoized).unwrap_or(u32::MAX))?,
            b'h' => {
                let index = self.byte()?;
                self.get(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.get(index)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Text(module), Node::Text(name)) = (module, name) else {
                    return Err(self.corrupt("names a Python object by something that is no string"));
                };
                self.global(module, name)?;
            }
            b'Q' => self.persistent()?,
            b'R' => self.reduce()?,
            0x81 => self.new_object(1)?,
            0x92 => self.new_object(2)?,
            b'b' => self.build()?,
            _ => {
                return Err(format!(
                    "has a pickle with the instruction {} ({opcode:#04x}, at its byte {}), which weights do not need, \
                     and nothing was executed: {SAVE_STATE}",
                    opcode::name(opcode),
                    self.opcode_at
                ));
            }
        }
        Ok(None)
    }

    /// The value that the program leaves.
    fn stop(&self) -> Result<Id, String> {
        match (self.stack.as_slice(), self.marks.is_empty()) {
            (&[root], true) => Ok(root),
            _ => Err(self.corrupt(&format!("stops with {} values, and one is due", self.stack.len()))),
        }
    }

    /// Number of values above the topmost mark, which is removed.
    fn marked(&mut self) -> Result<usize, String> {
        let mark = self.marks.pop().ok_or_else(|| self.corrupt("lacks a mark"))?;
        Ok(self.stack.len() - mark)
    }

    fn marked_pairs(&mut self) -> Result<usize, String> {
        let count = self.marked()?;
        if count % 2 == 1 {
            return Err(self.corrupt("has a key without a value"));
        }
        Ok(count)
    }

    /// Height of the stack under its last `count` values, none of which lie under a mark.
    fn under(&self, count: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(count).filter(|&height| height >= floor);
        height.ok_or_else(|| self.corrupt("takes more values than it has made"))
    }

    /// Replaces the last `count` values by one container of them.
    fn gather(&mut self, count: usize, kind: fn(super::Chain) -> Node) -> Result<(), String> {
        let height = self.under(count)?;
        let chain = self.arena.chain(&self.stack[height..]).map_err(|Full| self.full())?;
        self.stack.truncate(height);
        self.push(kind(chain))
    }

    /// Moves the last `count` values into the list under them.
    fn extend(&mut self, count: usize) -> Result<(), String> {
        match self.container(count)? {
            (id, Node::List(_)) => self.fill(id, count),
            // A class of its own that is a list, or is filled like one.
            (_, Node::Opaque(_)) => self.drop_last(count),
            _ => Err(self.corrupt("appends to something that is no list")),
        }
    }

    /// Moves the last `count` values, keys and values in turn, into the dict under them.
    fn extend_dict(&mut self, count: usize) -> Result<(), String> {
        match self.container(count)? {
            (id, Node::Dict(_)) => self.fill(id, count),
            (_, Node::Opaque(_)) => self.drop_last(count),
            _ => Err(self.corrupt("puts keys into something that is no dict")),
        }
    }

    /// The value under the last `count`.
    pub(super) fn container(&self, count: usize) -> Result<(Id, Node), String> {
        let height = self.under(count.saturating_add(1))?;
        let id = self.stack[height];
        Ok((id, self.arena.node(id)))
    }

    fn fill(&mut self, id: Id, count: usize) -> Result<(), String> {
        let height = self.under(count)?;
        self.arena.extend(id, &self.stack[height..]).map_err(|Full| self.full())?;
        self.stack.truncate(height);
        Ok(())
    }

    /// Takes the last `count` values off the stack.
    fn drop_last(&mut self, count: usize) -> Result<(), String> {
        let height = self.under(count)?;
        self.stack.truncate(height);
        Ok(())
    }

    /// Remembers the topmost value.
    fn put(&mut self, index: u32) -> Result<(), String> {
        let top = self.stack[self.under(1)?];
        let index = index as usize;
        if index >= MOST {
            return Err(self.full());
        }
        if index >= self.memo.len() {
            self.memo.resize(index + 1, Id::NONE);
        }
        self.memoized += usize::from(self.memo[index] == Id::NONE);
        self.memo[index] = top;
        Ok(())
    }

    /// Pushes a value that was remembered.
    fn get(&mut self, index: u32) -> Result<(), String> {
        match self.memo.get(index as usize) {
            Some(&id) if id != Id::NONE => self.push_id(id),
            _ => Err(self.corrupt(&format!("recalls value {index}, which it never remembered"))),
        }
    }

    /// Pushes a new value.
    pub(super) fn push(&mut self, node: Node) -> Result<(), String> {
        let id = self.arena.add(node).map_err(|Full| self.full())?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), String> {
        if self.stack.len() >= MOST {
            return Err(self.full());
        }
        self.stack.push(id);
        Ok(())
    }

    /// Takes the topmost value.
    pub(super) fn pop(&mut self) -> Result<Node, String> {
        let height = self.under(1)?;
        let id = self.stack[height];
        self.stack.truncate(height);
        Ok(self.arena.node(id))
    }
}
