//! What a driver made of texts, kept for later.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Driver, Executable, Figure, Figures, Outcome, Statistic};
use crate::kernels::Variant;
use crate::shader::Reflection;
use crate::versioned::Kind;
use crate::{Result, atomic};

/// The files that records are kept in.
const KIND: Kind = Kind {
    format: "maskrcnn shaders stats",
    version: 1,
    content: "what a driver made of shaders",
    writer: "maskrcnn shaders stats --save",
};

/// What one driver made of some texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: String,
    version: u32,
    /// The device that the texts were made for.
    pub device: String,
    /// Device and driver that compiled them.
    pub driver: String,
    /// A line for each text.
    pub texts: Vec<Text>,
}

/// One text of a variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Text {
    /// The shader's name.
    pub kernel: String,
    /// The variant's name.
    pub variant: String,
    /// Its constants.
    pub constants: BTreeMap<String, u32>,
    /// Threads of a workgroup.
    pub threads: u32,
    /// Bytes of workgroup memory that it declares.
    pub workgroup_bytes: u32,
    /// What was made of it; of several programs, each.
    pub made: Vec<Made>,
    /// Why it was not compiled: what the device lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
    /// Why it was not compiled: what the driver says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A program that a driver made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// As the driver calls it.
    pub name: String,
    /// What all drivers count.
    pub figures: Figures,
    /// All that this one tells, by its own names.
    pub statistics: BTreeMap<String, Statistic>,
}

impl Made {
    fn new(program: &Executable) -> Self {
        Self {
            name: program.name.clone(),
            figures: Figures::of(program),
            statistics: program.statistics.iter().cloned().collect(),
        }
    }
}

impl Text {
    /// What became of a variant of a kernel.
    pub fn new(kernel: &str, variant: &Variant, about: &Reflection, outcome: &Outcome) -> Self {
        let (made, needs, refused) = match outcome {
            Outcome::Compiled(programs) => (programs.iter().map(Made::new).collect(), None, None),
            Outcome::Needs(what) => (Vec::new(), Some(what.clone()), None),
            Outcome::Refused(why) => (Vec::new(), None, Some(why.clone())),
        };
        Self {
            kernel: kernel.into(),
            variant: variant.name.into(),
            constants: variant.constants().into_iter().map(|(k, v)| (k.to_string(), v)).collect(),
            threads: about.workgroup_size.iter().product(),
            workgroup_bytes: about.workgroup_bytes,
            made,
            needs,
            refused,
        }
    }

    /// Whether the driver took it.
    pub fn is_compiled(&self) -> bool {
        self.needs.is_none() && self.refused.is_none()
    }

    /// The program that a launch would run, where the driver tells: of several, of one subgroup size each, the widest of
    /// those that spill least.
    pub fn program(&self) -> Option<&Made> {
        let figure = |m: &Made, f| m.figures.get(f).unwrap_or(0);
        self.made.iter().max_by_key(|m| (std::cmp::Reverse(figure(m, Figure::Spills)), figure(m, Figure::Subgroup)))
    }

    /// A figure of that program; workgroup memory as declared, where the driver does not tell.
    pub fn figure(&self, figure: Figure) -> Option<u64> {
        let told = self.program().and_then(|made| made.figures.get(figure));
        told.or_else(|| (figure == Figure::Workgroup).then(|| self.workgroup_bytes.into()))
    }
}

impl Record {
    /// Nothing yet. `device`: what the texts are made for.
    pub fn new(device: &str, driver: &Driver) -> Self {
        let (format, version) = (KIND.format.into(), KIND.version);
        Self { format, version, device: device.into(), driver: driver.key(), texts: Vec::new() }
    }

    /// Reads a file that [`Record::save`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where it cannot be read, or is not such a file, or one of another version.
    pub fn read(path: &Path) -> Result<Self> {
        KIND.read(path)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// [`crate::Error::Io`], naming the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        atomic::write(path, |out| out.write_all(self.json().as_bytes()))
    }

    /// As JSON.
    pub fn json(&self) -> String {
        // Numbers, text, and maps by name: nothing that JSON could not hold.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
