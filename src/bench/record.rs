//! Results that outlive a run: as JSON, which a later run compares with, and as CSV.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::compare::{Change, Verdict};
use super::measure::Measured;
use super::stats::Summary;
use super::work::Work;
use crate::gpu::Device;
use crate::kernels::{Launch, Variant};
use crate::versioned::Kind;
use crate::{Result, atomic};

/// The files that records are kept in.
const KIND: Kind =
    Kind { format: "maskrcnn bench", version: 1, content: "benchmark results", writer: "maskrcnn bench --save" };

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: String,
    version: u32,
    /// The device's name.
    pub device: String,
    /// Tells one device and driver from another.
    pub key: String,
    /// A line for each launch and variant.
    pub entries: Vec<Entry>,
}

/// One variant of one launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The shader's name.
    pub kernel: String,
    /// The first op that has this launch.
    pub label: String,
    /// The part of the network.
    pub stage: String,
    /// How many ops of the network have it.
    pub count: usize,
    /// Kernel, settings and shapes: what makes two launches the same.
    pub work: String,
    /// Shapes of the inputs.
    pub shapes: String,
    /// The variant's name.
    pub variant: String,
    /// Its constants.
    pub constants: Vec<(String, u32)>,
    /// Whether it uses subgroup operations.
    pub subgroups: bool,
    /// Inputs that it reads as textures.
    #[serde(default)]
    pub textures: Vec<usize>,
    /// Inputs of its text that the launch lacks.
    #[serde(default)]
    pub absent: Vec<usize>,
    /// Whether it uses cooperative matrices; files of before there were any do not say.
    #[serde(default)]
    pub matrices: bool,
    /// Whether it multiplies factors rounded to f16; likewise.
    #[serde(default)]
    pub halves: bool,
    /// The WGSL that ran.
    pub text: String,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Uniform parameters.
    pub params: Vec<u8>,
    /// Seconds on the GPU's clock.
    pub gpu: Option<Summary>,
    /// Seconds on the wall.
    pub wall: Summary,
    /// Operations asked for.
    pub flops: f64,
    /// Operations executed, padding included.
    pub executed: f64,
    /// Least traffic.
    pub bytes: f64,
    /// Share of the roof: the least time that the device needs, over the median.
    pub roof: f64,
    /// How it compares with what was kept, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
}

/// Now against before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// What became of it.
    pub verdict: Verdict,
    /// By how much.
    #[serde(flatten)]
    pub change: Change,
}

impl Record {
    /// Nothing yet.
    pub fn new(device: &Device) -> Self {
        let (format, version) = (KIND.format.into(), KIND.version);
        Self { format, version, device: device.name().into(), key: device.key(), entries: Vec::new() }
    }

    /// What was recorded of such a variant of such a launch: with the same constants or, where they have changed since,
    /// the first of that name.
    pub fn find(&self, work: &Work, variant: &Variant) -> Option<&Entry> {
        let key = work.key();
        let named = || self.entries.iter().filter(|e| e.work == key && e.variant == variant.name);
        let constants = constants(variant);
        named().find(|e| e.constants == constants).or_else(|| named().next())
    }

    /// Reads a file that [`Record::save`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where it cannot be read, or is not such a file, or one of another version.
    pub fn read(path: &Path) -> Result<Self> {
        KIND.read(path)
    }

    /// Writes all of it as JSON, to be read by [`Record::read`].
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        atomic::write(path, |out| out.write_all(self.json().as_bytes()))
    }

    /// All of it as JSON.
    pub fn json(&self) -> String {
        // Numbers, text and lists of them: nothing that JSON could not hold.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The figures as CSV, a line for each variant.
    pub fn csv(&self) -> String {
        let mut out = String::from(
            "kernel,label,stage,count,shapes,variant,constants,clock,median_s,low_s,high_s,samples,gflop,gflop_executed,\
             mb,gflop_per_s,gb_per_s,roof_share,verdict,change,change_low,change_high\n",
        );
        for e in &self.entries {
            let (clock, t) = e.time();
            let constants: Vec<String> = e.constants.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let against = e.against.map_or(",,,".into(), |a| {
                format!("{},{},{},{}", a.verdict, a.change.change, a.change.low, a.change.high)
            });
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "{},\"{}\",\"{}\",{},\"{}\",{},\"{}\",{clock},{},{},{},{},{},{},{},{},{},{},{against}",
                e.kernel,
                e.label.replace('"', "\"\""),
                e.stage,
                e.count,
                e.shapes,
                e.variant,
                constants.join(" "),
                t.median,
                t.low,
                t.high,
                t.samples,
                e.flops / 1e9,
                e.executed / 1e9,
                e.bytes / 1e6,
                e.flops / t.median / 1e9,
                e.bytes / t.median / 1e9,
                e.roof,
            );
        }
        out
    }
}

impl Entry {
    /// Of a measurement; `text` is what ran.
    pub fn new(work: &Work, measured: &Measured, text: String, roof: f64) -> Self {
        let (cost, variant) = (work.cost(), &measured.variant);
        Self {
            kernel: work.kernel.name().into(),
            label: work.label.clone(),
            stage: work.stage.clone(),
            count: work.count,
            work: work.key(),
            shapes: work.shapes(),
            variant: variant.name.into(),
            constants: constants(variant),
            subgroups: variant.subgroups,
            textures: variant.textures.clone(),
            absent: variant.absent.clone(),
            matrices: variant.matrices,
            halves: variant.f16,
            text,
            grid: measured.launch.grid,
            params: measured.launch.params.clone(),
            gpu: measured.gpu,
            wall: measured.wall,
            flops: cost.flops,
            executed: measured.executed,
            bytes: cost.bytes,
            roof,
            against: None,
        }
    }

    /// Whether it is what runs today: the same text with the same constants, in the same launch.
    pub fn is(&self, today: &Variant, launch: &Launch) -> bool {
        today.text.as_deref() == Some(self.text.as_str())
            && constants(today) == self.constants
            && (today.subgroups, today.matrices, today.f16) == (self.subgroups, self.matrices, self.halves)
            && today.textures == self.textures
            && today.absent == self.absent
            && (launch.grid, &launch.params) == (self.grid, &self.params)
    }

    /// Which clock, and what it showed.
    pub fn time(&self) -> (&'static str, Summary) {
        self.gpu.map_or(("wall", self.wall), |gpu| ("gpu", gpu))
    }

    /// As it ran: the variant with its text, and its launch. `now` lends the constants' names.
    pub fn frozen(&self, now: &Variant) -> (Variant, Launch) {
        let mut schedule = now.schedule;
        // A constant that is gone matters to no code of today's: the text has it already.
        let name = |k: &String| now.features.iter().map(|d| d.0).find(|n| n == k);
        let features = self.constants.iter().filter_map(|(k, v)| Some((name(k)?, *v))).collect();
        self.constants.iter().for_each(|(k, v)| _ = schedule.set(k, *v));
        let variant = Variant {
            name: now.name,
            schedule,
            features,
            subgroups: self.subgroups,
            textures: self.textures.clone(),
            absent: self.absent.clone(),
            matrices: self.matrices,
            f16: self.halves,
            text: Some(self.text.as_str().into()),
        };
        (variant, Launch { grid: self.grid, params: self.params.clone() })
    }
}

fn constants(variant: &Variant) -> Vec<(String, u32)> {
    variant.constants().into_iter().map(|(k, v)| (k.to_string(), v)).collect()
}
