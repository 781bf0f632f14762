//! Which launches and variants to measure: all that can be wrong with the options is told here, before the first of them
//! is timed.

use maskrcnn::engine::bench::record::Entry;
use maskrcnn::engine::bench::{Record, Sources, Work};
use maskrcnn::engine::kernels::{self, Variant};
use maskrcnn::engine::target::Target;
use maskrcnn::engine::vision::scene;
use maskrcnn::engine::weights::NetworkWeights;
use maskrcnn::{Device, Error, Result};

use super::Args;
use crate::cli::size::Size;
use crate::cli::words::count;

/// A launch, and the variants of it to measure.
pub(super) struct Job<'a> {
    pub work: Work,
    pub tries: Vec<Try<'a>>,
}

/// A variant to measure.
pub(super) struct Try<'a> {
    pub variant: Variant,
    /// The same with its text.
    pub frozen: Variant,
    /// What was kept of it.
    pub before: Option<&'a Entry>,
    /// Whether that is what runs today.
    same: bool,
}

impl Try<'_> {
    /// Whether times will be compared, those kept of another device or those of both texts.
    pub(super) fn is_compared(&self, foreign: bool) -> bool {
        self.before.is_some() && (foreign || !self.same)
    }
}

/// The launches, and what they were taken from.
pub(super) struct Works {
    pub works: Vec<Work>,
    /// The network and its image, for people, where it was not shapes.
    pub image: Option<String>,
}

/// Launches that are named where some are left out.
const NAMED: usize = 8;

fn refuse<T>(setting: &str, reason: String) -> Result<T> {
    Err(Error::Config { setting: setting.into(), reason })
}

/// The launches that the options ask for.
pub(super) fn works(args: &Args) -> Result<(Device, Target, Works)> {
    if let Some(name) = &args.kernel {
        if kernels::entry(name).is_none() {
            let names: Vec<&str> = kernels::REGISTRY.iter().map(|e| e.name).collect();
            return refuse("--kernel", format!("there is no kernel `{name}`; there are {}", names.join(", ")));
        }
        if let Some(shape) = &args.shape {
            let work = Work::of_shapes(name, shape, &args.settings)?;
            let (device, target) = args.model.device()?;
            return Ok((device, target, Works { works: vec![work], image: None }));
        }
    }
    let (file, config) = args.model.load(None)?;
    let (device, target) = args.model.device()?;
    let weights = NetworkWeights::load(&file, &config)?;
    let Size { height, width } = args.image_size;
    // As many nuclei as the default model would meet in such an image.
    let nuclei = (height as usize * width as usize / 4000).clamp(1, 400);
    let image = scene::nuclei(width, height, 1, nuclei)?.image;
    let tuning = args.model.tuning(Some(&device.key()));
    let mut works = Work::of_network(&device, (&target, &tuning), &config, &weights, &image)?;
    works.retain(|w| args.kernel.as_deref().is_none_or(|k| k == w.kernel.name()));
    works.retain(|w| args.op.as_deref().is_none_or(|o| w.label.contains(o)));
    if works.is_empty() {
        return refuse("--kernel, --op", format!("{} has no such op at {height}x{width}", config.name));
    }
    let image = format!(
        "{} on a made-up image of {height}x{width} with {nuclei} {}",
        config.name,
        if nuclei == 1 { "nucleus" } else { "nuclei" }
    );
    Ok((device, target, Works { works, image: Some(image) }))
}

/// The variants of each launch, sweeps spelled out, with what was kept of them; and what was left out, in a sentence.
pub(super) fn jobs<'a>(
    args: &Args,
    works: Vec<Work>,
    target: &Target,
    sources: &Sources,
    before: Option<&'a Record>,
) -> Result<(Vec<Job<'a>>, Option<String>)> {
    let (mut jobs, mut without, mut reason) = (Vec::new(), Vec::new(), None);
    for work in works {
        let variants = match variants(args, &work, target) {
            Ok(variants) => variants,
            // Wrong only if it is so of every launch.
            Err(e) => {
                without.push(work.label);
                reason.get_or_insert(e);
                continue;
            }
        };
        let made = |variant: Variant| {
            let frozen = sources.freeze(work.kernel.name(), &variant)?;
            let before = before.and_then(|b| b.find(&work, &variant));
            let same = before.is_some_and(|old| old.is(&frozen, &work.launch(&variant)));
            Ok(Try { variant, frozen, before, same })
        };
        let tries = variants.into_iter().map(made).collect::<Result<_>>()?;
        jobs.push(Job { work, tries });
    }
    match reason {
        Some(e) if jobs.is_empty() => Err(e),
        Some(_) => {
            let what = match &args.variant {
                Some(name) => format!("variant `{name}`"),
                None => "constant of that name (--sweep)".into(),
            };
            let shown = without.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if without.len() > NAMED { ", …" } else { "" };
            Ok((jobs, Some(format!("{} left out, without a {what}: {shown}{more}", count(without.len(), "launch")))))
        }
        None => Ok((jobs, None)),
    }
}

/// The variants to measure, sweeps spelled out.
fn variants(args: &Args, work: &Work, target: &Target) -> Result<Vec<Variant>> {
    let all = work.variants(target);
    let names: Vec<&str> = all.iter().map(|v| v.name).collect();
    if let Some(name) = args.variant.as_deref().filter(|n| !names.contains(n)) {
        return refuse(
            "--variant",
            format!("`{}` has no variant `{name}` here; it has {}", work.label, names.join(", ")),
        );
    }
    let mut out: Vec<Variant> =
        all.iter().filter(|v| args.variant.as_deref().is_none_or(|n| n == v.name)).cloned().collect();
    if args.best {
        out.truncate(1);
    }
    for (name, values) in &args.sweep {
        if !out.iter().any(|v| v.find(name).is_some()) {
            let mut constants: Vec<&str> = out.iter().flat_map(|v| v.constants().into_iter().map(|d| d.0)).collect();
            constants.sort_unstable();
            constants.dedup();
            let reason = format!("no variant of `{}` has a constant {name}; they have {constants:?}", work.label);
            return refuse("--sweep", reason);
        }
        let with = |v: &Variant, value: u32| {
            let mut v = v.clone();
            v.set(name, value);
            v
        };
        out = out
            .iter()
            .filter(|v| v.find(name).is_some())
            .flat_map(|v| values.iter().map(|&value| with(v, value)).collect::<Vec<_>>())
            .collect();
    }
    Ok(out)
}
