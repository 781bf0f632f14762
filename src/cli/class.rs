//! What to plan and compile for: what a device can do, without opening it.

use maskrcnn::engine::gpu::{Adapter, Roofs, choose};
use maskrcnn::engine::target::{PROFILES, Profile, Speeds, Target, profile};
use maskrcnn::{Error, Result};

/// What a device that need not be there is asked for with.
const PROFILE: &str = "profile:";

/// What WebGPU promises of one binding, in bytes.
const PROMISED_BINDING: u64 = 128 << 20;

/// What a device can do.
pub(super) struct Class {
    /// The device, or what stands for it.
    pub name: String,
    /// Its key, where it is a real one.
    pub key: Option<String>,
    /// What kernels may use.
    pub target: Target,
    /// Bytes that one tensor may have.
    pub max_binding: u64,
    /// How fast it should be, where that is told.
    pub speeds: Option<Speeds>,
    /// What those are, for people.
    pub predicted: Option<String>,
}

impl Class {
    /// That of the device that `choice` names or, without a choice, of the best one. `none`, and no choice where there
    /// is no device, stand for the least that any device offers; `profile:NAME` for a class of devices.
    pub(super) fn of(choice: Option<&str>) -> Result<Self> {
        let least = |why: &str| Self {
            name: format!("{why}: the least device, WebGPU's default limits"),
            key: None,
            target: Target::MINIMUM,
            max_binding: PROMISED_BINDING,
            speeds: None,
            predicted: None,
        };
        if let Some(name) = choice.and_then(|choice| choice.strip_prefix(PROFILE)) {
            return match profile(name) {
                Some(profile) => Ok(Self::like(profile)),
                None => Err(Error::Config {
                    setting: "--device".into(),
                    reason: format!("there is no profile `{name}`; there are {}", profiles()),
                }),
            };
        }
        match choice {
            Some("none") => Ok(least("no device")),
            Some(_) => choose(choice).map(Self::real),
            None => Ok(choose(None).map_or_else(|_| least("no GPU driver was found"), Self::real)),
        }
    }

    /// That of a device that is there: predicted as others of its kind, with its own roofs where the cache has them.
    fn real(adapter: Adapter) -> Self {
        let key = adapter.key();
        let like = Profile::like(&adapter.name, &adapter.target);
        let roofs = Roofs::of_key(&key);
        let speeds = like.map(|p| roofs.map_or(p.speeds, |roofs| p.speeds.with_roofs(roofs.copy, roofs.fma)));
        let predicted = like.map(|profile| {
            let with = match roofs {
                Some(_) => "with the roofs that were measured on this one",
                None => "whatever this one's are: `maskrcnn profile` measures its roofs",
            };
            format!("as of `{PROFILE}{}` ({}), {with}", profile.name, profile.device)
        });
        let Adapter { name, target, max_binding, .. } = adapter;
        Self { name, key: Some(key), target, max_binding, speeds, predicted }
    }

    fn like(profile: &Profile) -> Self {
        Self {
            name: format!("{PROFILE}{} ({})", profile.name, profile.device),
            predicted: Some("by data sheets: nothing was measured".into()),
            key: None,
            target: profile.target,
            max_binding: profile.max_binding,
            speeds: Some(profile.speeds),
        }
    }
}

/// The names of all profiles.
pub(super) fn profiles() -> String {
    PROFILES.map(|profile| profile.name).join(", ")
}

/// Whether a device is asked for that can be planned for but not opened.
pub(super) fn is_profile(choice: &str) -> bool {
    choice.starts_with(PROFILE)
}
