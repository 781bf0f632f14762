//! Now against before.

use super::{Figure, Record, Text};

/// Whether a change is one for the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More spills, registers or instructions, or fewer subgroups at a time.
    Worse,
    /// The other way round.
    Better,
    /// Neither can be told.
    Other,
}

impl Verdict {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Other => "changed",
        }
    }
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<'a> {
    /// A figure is another.
    Figure {
        /// The text, as it is now.
        text: &'a Text,
        /// What is counted.
        figure: Figure,
        /// What it was.
        before: u64,
        /// What it is.
        now: u64,
    },
    /// It compiles no longer.
    Lost(&'a Text),
    /// It compiles, which it did not.
    Gained(&'a Text),
    /// It was not there before.
    New(&'a Text),
    /// It is there no longer, as it was then.
    Gone(&'a Text),
}

impl Change<'_> {
    /// The text.
    pub fn text(&self) -> &Text {
        match self {
            Self::Figure { text, .. } => text,
            Self::Lost(text) | Self::Gained(text) | Self::New(text) | Self::Gone(text) => text,
        }
    }

    /// What it means.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Figure { figure, before, now, .. } => match figure.more_is_better() {
                None => Verdict::Other,
                Some(more) if more == (now > before) => Verdict::Better,
                Some(_) => Verdict::Worse,
            },
            Self::Lost(_) => Verdict::Worse,
            Self::Gained(_) => Verdict::Better,
            Self::New(_) | Self::Gone(_) => Verdict::Other,
        }
    }

    /// Whether it is a step back: spills or registers grew, or a text compiles no longer. Other figures may grow for a
    /// good reason.
    pub fn is_step_back(&self) -> bool {
        let hurts = |figure: &Figure| [Figure::Spills, Figure::Registers].contains(figure);
        match self {
            Self::Figure { figure, before, now, .. } => hurts(figure) && now > before,
            Self::Lost(_) => true,
            _ => false,
        }
    }
}

/// What has changed from one record to another, text by text in the order of `now`. Texts are the same where kernel,
/// variant and constants are. `whole`: whether `now` has all texts, so that those that it lacks are gone.
pub fn compare<'a>(before: &'a Record, now: &'a Record, whole: bool) -> Vec<Change<'a>> {
    let same = |a: &Text, b: &Text| a.kernel == b.kernel && a.variant == b.variant && a.constants == b.constants;
    let mut out = Vec::new();
    for text in &now.texts {
        match before.texts.iter().find(|old| same(old, text)) {
            None => out.push(Change::New(text)),
            Some(old) => match (old.is_compiled(), text.is_compiled()) {
                (true, false) => out.push(Change::Lost(text)),
                (false, true) => out.push(Change::Gained(text)),
                (false, false) => {}
                (true, true) => out.extend(Figure::ALL.into_iter().filter_map(|figure| {
                    let (before, now) = (old.figure(figure)?, text.figure(figure)?);
                    (before != now).then_some(Change::Figure { text, figure, before, now })
                })),
            },
        }
    }
    if whole {
        let gone = before.texts.iter().filter(|old| !now.texts.iter().any(|text| same(old, text)));
        out.extend(gone.map(Change::Gone));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::{Figures, Made};

    /// A text with these registers, spills and subgroups at a time; none where it was refused.
    fn text(variant: &str, made: Option<[u64; 3]>) -> Text {
        let figures = [Figure::Registers, Figure::Spills, Figure::Waves].into_iter();
        let made = made.map(|n| {
            let figures = Figures(figures.zip(n).collect());
            Made { name: "main".into(), figures, statistics: Default::default() }
        });
        Text {
            kernel: "linear".into(),
            variant: variant.into(),
            constants: [("TP".to_string(), 2)].into(),
            threads: 64,
            workgroup_bytes: 0,
            needs: None,
            refused: made.is_none().then(|| "no".into()),
            made: made.into_iter().collect(),
        }
    }

    fn record(texts: &[Text]) -> Record {
        let empty = serde_json::json!({ "format": "", "version": 1, "device": "a", "driver": "b", "texts": [] });
        let mut record: Record = serde_json::from_value(empty).unwrap();
        record.texts = texts.to_vec();
        record
    }

    /// What has changed, its verdict, and whether it is a step back.
    fn told(before: &[Text], now: &[Text], whole: bool) -> Vec<(String, Verdict, bool)> {
        let (before, now) = (record(before), record(now));
        let of = |c: &Change| match c {
            Change::Figure { figure, before, now, .. } => format!("{} {before} {now}", figure.name()),
            Change::Lost(_) => "lost".into(),
            Change::Gained(_) => "gained".into(),
            Change::New(text) => format!("new {}", text.variant),
            Change::Gone(text) => format!("gone {}", text.variant),
        };
        compare(&before, &now, whole).iter().map(|c| (of(c), c.verdict(), c.is_step_back())).collect()
    }

    #[test]
    fn more_registers_or_spills_are_a_step_back_and_fewer_waves_are_worse() {
        use Verdict::{Better, Worse};
        let (a, b) = (text("a", Some([64, 0, 8])), text("a", Some([72, 3, 6])));
        assert_eq!(told(std::slice::from_ref(&a), std::slice::from_ref(&a), true), []);
        let worse = [("registers 64 72", Worse, true), ("spills 0 3", Worse, true), ("waves 8 6", Worse, false)];
        assert_eq!(
            told(std::slice::from_ref(&a), std::slice::from_ref(&b), true),
            worse.map(|w| (w.0.into(), w.1, w.2))
        );
        let better = [("registers 72 64", Better, false), ("spills 3 0", Better, false), ("waves 6 8", Better, false)];
        assert_eq!(told(&[b], &[a], true), better.map(|w| (w.0.into(), w.1, w.2)));
    }

    #[test]
    fn texts_come_and_go() {
        let (made, refused) = (text("a", Some([64, 0, 8])), text("a", None));
        let of = |what: &str, verdict, back| [(what.to_string(), verdict, back)];
        let pair = |a: &Text, b: &Text| told(std::slice::from_ref(a), std::slice::from_ref(b), true);
        assert_eq!(pair(&made, &refused), of("lost", Verdict::Worse, true));
        assert_eq!(pair(&refused, &made), of("gained", Verdict::Better, false));
        assert_eq!(pair(&refused, &refused), []);
        let other = text("b", Some([64, 0, 8]));
        let both = [("new b".into(), Verdict::Other, false), ("gone a".into(), Verdict::Other, false)];
        assert_eq!(pair(&made, &other), both);
        // A part of the texts says nothing of the others.
        assert_eq!(told(&[made.clone(), other.clone()], &[made], false), []);
    }

    /// Of several programs, one for each subgroup size, the widest counts that spills least.
    #[test]
    fn of_several_programs_the_widest_without_spills_counts() {
        let program = |subgroup, spills, registers| Made {
            name: format!("SIMD{subgroup}"),
            figures: Figures(
                [(Figure::Registers, registers), (Figure::Spills, spills), (Figure::Subgroup, subgroup)].into(),
            ),
            statistics: Default::default(),
        };
        let made = vec![program(8, 0, 60), program(16, 0, 110), program(32, 40, 128)];
        let several = Text { made, workgroup_bytes: 512, ..text("a", None) };
        assert_eq!((several.figure(Figure::Subgroup), several.figure(Figure::Registers)), (Some(16), Some(110)));
        assert_eq!((several.figure(Figure::Workgroup), several.figure(Figure::Waves)), (Some(512), None));
    }
}
