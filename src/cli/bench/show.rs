//! The table, and what is said beside it.

use std::fmt;

use maskrcnn::engine::bench::{Change, Measured, Record, Verdict, Work, stats};
use maskrcnn::engine::kernels::Variant;
use maskrcnn::{Error, Result};

use super::jobs::Job;
use crate::cli::print;
use crate::cli::words::{count, width};

const LABEL: &str = "op (× times in the network)";
const NUMBERS: &str = "    median       ±         wall  GFLOP/s executed     GB/s  roof %";

/// Prints a table or, where standard output is for a program's figures, leaves it alone.
pub(super) struct Show {
    /// Columns of the widest label.
    wide: usize,
    figures: bool,
}

impl Show {
    /// For these launches; `figures`: whether standard output is to have nothing but figures.
    pub(super) fn new(jobs: &[Job], figures: bool) -> Self {
        let labels = jobs.iter().map(|j| label(&j.work)).chain([LABEL.into()]);
        Self { wide: width(labels), figures }
    }

    /// A line beside the table.
    pub(super) fn note(&self, line: &str) -> Result<()> {
        if self.figures {
            note!("{line}");
            return Ok(());
        }
        print(format!("{line}\n").as_bytes())
    }

    /// A line of the table.
    fn line(&self, line: &str) -> Result<()> {
        if self.figures { Ok(()) } else { print(format!("{line}\n").as_bytes()) }
    }

    pub(super) fn heading(&self) -> Result<()> {
        self.line(&format!("{LABEL:wide$}  {NUMBERS}  kernel, variant", wide = self.wide))
    }

    /// A variant and its times.
    pub(super) fn row(&self, work: &Work, m: &Measured, roof: f64) -> Result<()> {
        let (t, cost) = (m.time(), work.cost());
        self.line(&format!(
            "{:wide$}  {:>10} {:>5} % {:>12} {:8.2} {:8.2} {:8.2} {:>7}  {} {}{}",
            label(work),
            m.gpu.map_or("-".into(), |t| duration(t.median)),
            // Of short launches on a busy machine, some samples take many times as long as most.
            if t.spread() < 9.995 { format!("{:.1}", 100.0 * t.spread()) } else { ">999".into() },
            duration(m.wall.median),
            cost.flops / t.median / 1e9,
            m.executed / t.median / 1e9,
            cost.bytes / t.median / 1e9,
            if roof > 1.0 { ">100*".into() } else { format!("{:.1}", 100.0 * roof) },
            work.kernel.name(),
            m.variant,
            if m.agrees { "" } else { "  WRONG: its result is another than the engine's" },
            wide = self.wide
        ))
    }

    /// Why a combination of a sweep could not be measured.
    pub(super) fn failed(&self, work: &Work, variant: &Variant, e: &Error) -> Result<()> {
        self.note(&format!("{:wide$}  {} {variant}: {e}", label(work), work.kernel.name(), wide = self.wide))
    }

    /// What became of the launch of the row above.
    pub(super) fn change(&self, change: &Change) -> Result<()> {
        let (blank, wide) = ("", self.wide);
        self.line(&match change.same_result {
            _ if *change == Change::none() => format!("{blank:wide$}  equal: the same shader in the same launch"),
            Some(false) => format!("{blank:wide$}  {}: {change}; ITS RESULT IS ANOTHER", change.verdict()),
            _ => format!("{blank:wide$}  {}: {change}", change.verdict()),
        })
    }

    /// What marks in the table mean.
    pub(super) fn footnotes(&self, record: &Record) -> Result<()> {
        if record.entries.iter().any(|e| e.roof > 1.0) {
            self.line(&format!("* {}", crate::cli::roofs::CACHED))?;
        }
        Ok(())
    }
}

fn label(work: &Work) -> String {
    if work.count > 1 { format!("{} × {}", work.label, work.count) } else { work.label.clone() }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.2} µs", s * 1e6),
        s if s < 1.0 => format!("{:.3} ms", s * 1e3),
        s => format!("{s:.3} s"),
    }
}

/// What became of all launches.
#[derive(Default)]
pub(super) struct Judged {
    /// Launches and variants with what became of them.
    pub changes: Vec<(String, Change)>,
    /// Those that nothing was kept of.
    pub unknown: usize,
    /// Times that were compared.
    pub compared: usize,
}

impl Judged {
    /// Whether none is over the limit; those that are, are told.
    pub(super) fn holds(&self, limit: f64) -> bool {
        let over: Vec<_> = self.changes.iter().filter(|c| c.1.fails(limit)).collect();
        for (label, change) in &over {
            note!("error: {label} is slower than before: {change}, over the limit of {:.1} %", 100.0 * limit);
        }
        over.is_empty()
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let these = |v: Verdict| self.changes.iter().filter(|c| c.1.verdict() == v).count();
        write!(
            f,
            "{} slower, {} faster, {} equal; {} not among the kept results",
            these(Verdict::Slower),
            these(Verdict::Faster),
            these(Verdict::Equal),
            self.unknown
        )?;
        if self.compared > 1 {
            let each = 100.0 * (1.0 - stats::each_of(self.compared));
            let compared = count(self.compared, "interval");
            write!(f, "\n{compared}, which all hold together with a confidence of 95 % (each with {each:.2} %)")?;
        }
        Ok(())
    }
}
