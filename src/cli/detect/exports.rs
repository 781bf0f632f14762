//! What is to be written of a run, and of which instances.

use std::collections::{BTreeSet, HashSet};

use clap::ValueEnum as _;
use maskrcnn::engine::vision::export::{PixelSize, bounds, shape};
use maskrcnn::engine::vision::{Palette, Style, StyleParts};
use maskrcnn::{Detection, Detections, Error, Result};

/// What a run writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Save {
    /// <stem>.json: a COCO results file
    Coco,
    /// <stem>.png: the picture with masks, boxes and labels
    Png,
    /// annotations/instances.json: one COCO dataset of all images
    Dataset,
    /// labelme/<stem>.json: polygons
    Labelme,
    /// yolo/labels/<stem>.txt: polygons, and yolo/data.yaml
    Yolo,
    /// geojson/<stem>.geojson: polygons with holes, for QuPath
    Geojson,
    /// imagej/<stem>.zip: regions for ImageJ's ROI manager
    Imagej,
    /// labels16/<stem>.tif: a label map of 16 bits, for Cellpose and napari
    Labels16,
    /// labels32/<stem>.tif: a label map of 32 bits
    Labels32,
    /// measurements.csv: a row an instance, of all images
    Csv,
    /// cutouts/<stem>/<number>.png: each instance alone
    Cutouts,
    /// index.html: a contact sheet of all images
    Html,
}

impl std::fmt::Display for Save {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Save {
    /// As on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string())
    }

    /// Whether it is none of the two files that a run writes when it is not told otherwise.
    pub(super) fn is_further(self) -> bool {
        !matches!(self, Self::Coco | Self::Png)
    }
}

/// The options of what is written.
#[derive(clap::Args)]
pub(super) struct ExportArgs {
    /// What to write, with commas between.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [Save::Coco, Save::Png])]
    save: Vec<Save>,
    /// How large a pixel is, such as 0.25um (nm, um, mm, cm): lengths and areas of tables are in that unit, and label maps
    /// carry it.
    #[arg(long, value_name = "SIZE")]
    pixel_size: Option<PixelSize>,
    /// Leave out instances that touch the image's border.
    #[arg(long)]
    exclude_on_edges: bool,
    /// Leave out instances of fewer pixels.
    #[arg(long, value_name = "PIXELS")]
    min_area: Option<u64>,
    /// Leave out instances of other classes than these, by their names with commas between.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Vec<String>,
    /// What is drawn of instances: of fill, outline, box and label, with commas between.
    #[arg(long, value_name = "LIST", default_value = "fill,outline,box,label")]
    style: StyleParts,
    /// Colours of instances: `instance` (each unlike its neighbours'), `class`, `okabe-ito`, or a list such as
    /// #ff8000,#00a0ff.
    #[arg(long, value_name = "COLOURS", default_value = "instance")]
    palette: Palette,
    /// Height of text in pixels of the picture drawn. Without: by its size.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(6..=200))]
    font_size: Option<u16>,
    /// Width of outlines and boxes in pixels of the picture drawn, 0.5 to 50. Without: by its size.
    #[arg(long, value_name = "PIXELS", value_parser = line_width)]
    line_width: Option<f32>,
}

fn line_width(text: &str) -> Result<f32, String> {
    let width: Option<f32> = text.parse().ok();
    width.filter(|w| (0.5..=50.0).contains(w)).ok_or_else(|| "is no number from 0.5 to 50".into())
}

impl ExportArgs {
    /// What is to be written.
    pub(super) fn chosen(&self) -> BTreeSet<Save> {
        self.save.iter().copied().collect()
    }

    pub(super) fn pixel_size(&self) -> PixelSize {
        self.pixel_size.unwrap_or_default()
    }

    pub(super) fn style(&self) -> Style {
        let font_size = self.font_size.map(f32::from);
        Style {
            parts: self.style,
            palette: self.palette.clone(),
            font_size,
            line_width: self.line_width,
            enlarged: true,
        }
    }

    /// All of it that files depend on, as a word for the key of a run; nothing where nothing was said.
    pub(super) fn settings(&self) -> String {
        let mut out = String::new();
        if let Some(size) = self.pixel_size {
            out += &format!("\npixel size {size}");
        }
        let filter = (self.exclude_on_edges, self.min_area, &self.classes);
        if filter != (false, None, &Vec::new()) {
            out += &format!("\nof {filter:?}");
        }
        if self.style() != Style::default() {
            out += &format!("\ndrawn {:?}", self.style());
        }
        out
    }

    /// Which instances are written, by the model's classes.
    ///
    /// # Errors
    /// [`Error::Config`] for a class that the model does not know.
    pub(super) fn filter(&self, classes: &[String]) -> Result<Filter> {
        let known = |name: &String| {
            let same = |c: &(usize, &String)| c.1 == name || c.1.eq_ignore_ascii_case(name);
            classes.iter().enumerate().skip(1).find(same).map(|(label, _)| label as u32).ok_or_else(|| {
                let names = classes.iter().skip(1).map(String::as_str).filter(|n| !n.is_empty() && *n != "N/A");
                let names = names.collect::<Vec<_>>().join(", ");
                let reason = format!("the model knows no class `{name}`; it knows: {names}");
                Error::Config { setting: "--classes".into(), reason }
            })
        };
        let labels: HashSet<u32> = self.classes.iter().map(known).collect::<Result<_>>()?;
        Ok(Filter { labels, min_area: self.min_area.unwrap_or(0), inside: self.exclude_on_edges })
    }
}

/// Which instances are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Any where it is empty.
    labels: HashSet<u32>,
    min_area: u64,
    /// None that touches the image's border.
    inside: bool,
}

impl Filter {
    /// Those that are written, and what to say of the others: nothing where there are none.
    pub(super) fn of(&self, found: Detections) -> (Detections, String) {
        if *self == Self::default() {
            return (found, String::new());
        }
        let (mut classes, mut small, mut edges) = (0, 0, 0);
        let keep: Vec<bool> = found
            .iter()
            .map(|d| {
                let other = !self.labels.is_empty() && !self.labels.contains(&d.label);
                let little = !other && shape(&found, d).area() < self.min_area;
                let edge = !other && !little && self.inside && on_edge(&found, d);
                classes += usize::from(other);
                small += usize::from(little);
                edges += usize::from(edge);
                !(other || little || edge)
            })
            .collect();
        let parts = [
            (classes, "of other classes".to_string()),
            (small, format!("below {} pixels", self.min_area)),
            (edges, "on the border".to_string()),
        ];
        let told: Vec<String> = parts.iter().filter(|p| p.0 > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let told = if told.is_empty() { String::new() } else { format!(", left out {}", told.join(" and ")) };
        let Detections { width, height, classes, items, left_out, crowded } = found;
        let items = items.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(d, _)| d).collect();
        (Detections { width, height, classes, items, left_out, crowded }, told)
    }
}

/// Whether an instance touches the image's border: by its pixels, or by its box where it has none.
fn on_edge(found: &Detections, d: &Detection) -> bool {
    let (w, h) = (found.width, found.height);
    match bounds(&shape(found, d)) {
        Some([x0, y0, x1, y1]) => x0 == 0 || y0 == 0 || x1 >= w || y1 >= h,
        None => {
            let [x1, y1, x2, y2] = d.bbox;
            x1 < 0.5 || y1 < 0.5 || x2 > w as f32 - 0.5 || y2 > h as f32 - 0.5
        }
    }
}

#[cfg(test)]
mod tests {
    use maskrcnn::Mask;

    use super::*;

    fn found() -> Detections {
        let one = |x: u32, y: u32, side: u32, label| Detection {
            bbox: [x as f32, y as f32, (x + side) as f32, (y + side) as f32],
            score: 0.9,
            label,
            mask: Mask::from_fn(x, y, side, side, |_, _| true),
            soft: None,
        };
        let classes = ["", "cell", "cell phone"].map(String::from).into();
        Detections::new(20, 20, classes, vec![one(0, 5, 4, 1), one(5, 5, 2, 1), one(5, 16, 4, 2), one(8, 15, 4, 1)])
    }

    #[test]
    fn each_instance_is_left_out_for_one_reason() {
        let with = |filter: Filter| {
            let (left, told) = filter.of(found());
            (left.iter().map(|d| d.bbox[0]).collect::<Vec<_>>(), told)
        };
        let all = Filter::default();
        assert_eq!(with(all.clone()), (vec![0.0, 5.0, 5.0, 8.0], String::new()));
        assert_eq!(with(Filter { inside: true, ..all.clone() }).0, [5.0, 8.0]);
        let strict = Filter { inside: true, min_area: 5, labels: [1].into() };
        assert_eq!(
            with(strict),
            (vec![8.0], ", left out 1 of other classes and 1 below 5 pixels and 1 on the border".into())
        );
        assert_eq!(with(Filter { min_area: 16, ..all }).1, ", left out 1 below 16 pixels");
    }
}
