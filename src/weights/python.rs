//! Plain values in the text of a Python program, such as the configuration that a trainer keeps beside weights. Nothing is
//! evaluated: assignments of literals are read, and what is anything else is passed over.

use std::iter::Peekable;
use std::str::CharIndices;

/// Longest text that is read.
pub(super) const LONGEST: usize = 1 << 20;

/// Most values of a text, and most values within values.
const MOST: usize = 100_000;
const DEEPEST: usize = 40;

/// A value, as far as it is a literal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Literal {
    /// `dict(a=1)` or `{'a': 1}`, in order. Of a name that comes twice, the last counts.
    Dict(Vec<(String, Literal)>),
    /// A list or a tuple.
    List(Vec<Literal>),
    Text(String),
    Number(f64),
    Bool(bool),
    /// `None`, or what is no literal: a call, a name, a sum.
    #[default]
    Other,
}

impl Literal {
    /// The assignments of a program's outermost level.
    pub(super) fn of_program(text: &str) -> Self {
        let text = text.get(..LONGEST).unwrap_or(text);
        let mut reader = Reader { text, chars: text.char_indices().peekable(), left: MOST };
        let mut found = Vec::new();
        if text.len() < LONGEST {
            reader.assignments(&mut found);
        }
        Self::Dict(found)
    }

    /// The value under names within names, joined by dots.
    pub(super) fn get(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |at, name| match at {
            Self::Dict(pairs) => pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        })
    }

    /// The number under a path.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        if let Self::Number(value) = self.get(path)? { Some(*value) } else { None }
    }

    /// The number of things under a path: a whole one that is not negative.
    pub(super) fn count(&self, path: &str) -> Option<usize> {
        self.number(path).filter(|v| v.fract() == 0.0 && (0.0..1e9).contains(v)).map(|v| v as usize)
    }

    /// The text under a path.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        if let Self::Text(text) = self.get(path)? { Some(text) } else { None }
    }

    /// The bool under a path.
    pub(super) fn bool(&self, path: &str) -> Option<bool> {
        if let Self::Bool(value) = self.get(path)? { Some(*value) } else { None }
    }

    /// The list of numbers under a path.
    pub(super) fn numbers(&self, path: &str) -> Option<Vec<f32>> {
        let Self::List(items) = self.get(path)? else { return None };
        let number = |item: &Self| if let Self::Number(value) = item { Some(*value as f32) } else { None };
        items.iter().map(number).collect()
    }

    /// The first dict within this that `fits`, itself included, outer ones first.
    pub(super) fn find(&self, fits: &impl Fn(&Self) -> bool) -> Option<&Self> {
        match self {
            Self::Dict(_) if fits(self) => Some(self),
            Self::Dict(pairs) => pairs.iter().find_map(|(_, value)| value.find(fits)),
            Self::List(items) => items.iter().find_map(|item| item.find(fits)),
            _ => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    /// Values that may still be made.
    left: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    /// Takes a character if it is this one.
    fn take(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, c)| *c == wanted).is_some()
    }

    /// Passes over blanks, comments and, within brackets, ends of lines.
    fn blanks(&mut self, within: bool) {
        while let Some(c) = self.peek() {
            match c {
                '#' => while self.chars.next_if(|(_, c)| *c != '\n').is_some() {},
                // The end of a line that goes on.
                '\\' => {
                    self.chars.next();
                    self.take('\r');
                    self.take('\n');
                }
                '\n' if !within => return,
                c if c.is_whitespace() => drop(self.chars.next()),
                _ => return,
            }
        }
    }

    /// A name, or none.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some((_, c)) = self.chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    fn assignments(&mut self, found: &mut Vec<(String, Literal)>) {
        while self.peek().is_some() && self.left > 0 {
            let name = self.name();
            self.blanks(false);
            if !name.is_empty() && self.take('=') && self.peek() != Some('=') {
                let value = self.value(DEEPEST, false);
                found.push((name, value));
            }
            // The rest of the line, whatever it is.
            while self.chars.next_if(|(_, c)| *c != '\n').is_some() {}
            self.take('\n');
        }
    }

    /// The value that follows, up to what ends it, which is left.
    fn value(&mut self, deep: usize, within: bool) -> Literal {
        self.blanks(within);
        if deep == 0 || self.left == 0 {
            self.left = 0;
            return Literal::Other;
        }
        self.left -= 1;
        let value = match self.peek() {
            Some('{') => self.pairs('}', ':', deep),
            Some('[') => self.items(']', deep),
            Some('(') => self.items(')', deep),
            Some('\'' | '"') => self.string(),
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => match self.name().as_str() {
                "True" => Literal::Bool(true),
                "False" => Literal::Bool(false),
                "dict" if self.peek() == Some('(') => self.pairs(')', '=', deep),
                "r" | "b" | "u" if matches!(self.peek(), Some('\'' | '"')) => self.string(),
                _ => Literal::Other,
            },
            _ => Literal::Other,
        };
        self.blanks(within);
        let ended = |c| matches!(c, None | Some(',' | ')' | ']' | '}' | ':' | '\n'));
        if ended(self.peek()) { value } else { self.pass_over(within) }
    }

    /// Passes over what is no literal, brackets and strings in it included.
    fn pass_over(&mut self, within: bool) -> Literal {
        let mut open = 0;
        loop {
            self.blanks(within || open > 0);
            match self.peek() {
                None => break,
                Some(',' | ')' | ']' | '}' | ':' | '\n') if open == 0 => break,
                Some('\'' | '"') => drop(self.string()),
                Some(c) => {
                    open += usize::from(matches!(c, '(' | '[' | '{'));
                    open -= usize::from(matches!(c, ')' | ']' | '}'));
                    self.chars.next();
                }
            }
        }
        Literal::Other
    }

    fn items(&mut self, close: char, deep: usize) -> Literal {
        self.chars.next();
        let mut items = Vec::new();
        loop {
            self.blanks(true);
            if self.take(close) || self.peek().is_none() || self.left == 0 {
                return Literal::List(items);
            }
            items.push(self.value(deep - 1, true));
            // What goes on in another way is no list.
            if !self.take(',') && self.peek() != Some(close) {
                self.chars.next();
            }
        }
    }

    fn pairs(&mut self, close: char, between: char, deep: usize) -> Literal {
        self.chars.next();
        let mut pairs = Vec::new();
        loop {
            self.blanks(true);
            if self.take(close) || self.peek().is_none() || self.left == 0 {
                return Literal::Dict(pairs);
            }
            let name = match between {
                '=' => Literal::Text(self.name()),
                _ => self.value(deep - 1, true),
            };
            self.blanks(true);
            let value = if self.take(between) { self.value(deep - 1, true) } else { self.pass_over(true) };
            if let Literal::Text(name) = name {
                pairs.push((name, value));
            }
            if !self.take(',') && self.peek() != Some(close) {
                self.chars.next();
            }
        }
    }

    fn number(&mut self) -> Literal {
        let start = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        let mut before = ' ';
        // A sign stands first or after an exponent's letter.
        while let Some((_, c)) = self.chars.next_if(|(_, c)| {
            c.is_ascii_alphanumeric()
                || matches!(c, '.' | '_')
                || matches!(c, '-' | '+') && matches!(before, ' ' | 'e' | 'E')
        }) {
            before = c;
        }
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        let digits = self.text.get(start..end).unwrap_or_default().replace('_', "");
        digits.parse().map_or(Literal::Other, Literal::Number)
    }

    /// A string, and those right after it.
    fn string(&mut self) -> Literal {
        let mut text = String::new();
        while let Some((_, quote)) = self.chars.next_if(|(_, c)| matches!(c, '\'' | '"')) {
            let mut long = false;
            if self.take(quote) {
                if !self.take(quote) {
                    self.blanks(true);
                    continue;
                }
                long = true;
            }
            let mut closing = 0;
            while let Some((_, c)) = self.chars.next() {
                closing = if c == quote { closing + 1 } else { 0 };
                match c {
                    _ if closing == 1 && !long => break,
                    _ if closing == 3 => {
                        // The two before it are no part of the string.
                        text.truncate(text.len() - 2);
                        break;
                    }
                    '\n' if !long => break,
                    '\\' => text.extend(self.chars.next().map(|(_, c)| c)),
                    c => text.push(c),
                }
            }
            self.blanks(true);
        }
        Literal::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"/mnt/me/config.py
import os  # nothing
_base_ = ['./a.py', "b.py"]
img_norm_cfg = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(
    type='MaskRCNN',
    pretrained=None,
    backbone=dict(type='ResNet', depth=50, style='pytorch', norm_cfg=dict(type='BN', requires_grad=True)),
    rpn_head=dict(scales=[8], ratios=[0.5, 1.0, 2.0], lr=0.02 / 8, what=os.path.join('a, b', "c)"), after=-1e-3),
    test_cfg={'rcnn': {"score_thr": 0.05, 'nms': dict(type='nms', iou_threshold=0.5)}, 3: 4},
    note='''long, (with
'quotes')''' 'and more')
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(1333, 800),
        transforms=[dict(type='Resize', keep_ratio=True)])
]
if model == dict():
    x = 1
last = 1_000
"#;

    #[test]
    fn literals_are_read_and_the_rest_passed_over() {
        let found = Literal::of_program(TEXT);
        assert_eq!(found.numbers("img_norm_cfg.mean"), Some(vec![123.675, 116.28, 103.53]));
        assert_eq!(found.bool("img_norm_cfg.to_rgb"), Some(true));
        assert_eq!(
            (found.text("model.backbone.style"), found.count("model.backbone.depth")),
            (Some("pytorch"), Some(50))
        );
        assert_eq!(found.number("model.test_cfg.rcnn.score_thr"), Some(0.05));
        assert_eq!(found.number("model.test_cfg.rcnn.nms.iou_threshold"), Some(0.5));
        assert_eq!(found.get("model.rpn_head.lr"), Some(&Literal::Other));
        assert_eq!(found.get("model.rpn_head.what"), Some(&Literal::Other));
        assert_eq!(found.number("model.rpn_head.after"), Some(-1e-3));
        assert_eq!(found.text("model.note"), Some("long, (with\n'quotes')and more"));
        let scaled = found.find(&|d| d.get("img_scale").is_some()).unwrap();
        assert_eq!(scaled.numbers("img_scale"), Some(vec![1333.0, 800.0]));
        assert_eq!((found.number("last"), found.get("x")), (Some(1000.0), None));
        assert_eq!(
            found.get("_base_"),
            Some(&Literal::List(["./a.py", "b.py"].map(|t| Literal::Text(t.into())).to_vec()))
        );
    }

    /// Whatever is cut off or mixed up, reading ends, and in time that is linear.
    #[test]
    fn any_text_is_read_to_its_end() {
        for length in 0..TEXT.len() {
            Literal::of_program(&TEXT[..length]);
            Literal::of_program(&TEXT[length..]);
        }
        for odd in [
            "a = (((",
            "a = )",
            "a = dict(b",
            "a = {1",
            "a = {1:",
            "a = 'b",
            "a = '''b",
            "a = \\",
            "a==1",
            "a = [1 2]",
            "ä = 1",
        ] {
            Literal::of_program(odd);
        }
        // Deeper than is read, and more than is kept.
        assert_eq!(Literal::of_program(&format!("a = {}1", "[".repeat(5000))).number("a"), None);
        assert!(Literal::of_program(&format!("a = [{}]\nb = 2", "1,".repeat(400_000))).get("b").is_none());
        assert_eq!(Literal::of_program(&format!("b = 2\n{}", "#".repeat(LONGEST))), Literal::Dict(Vec::new()));
    }
}
