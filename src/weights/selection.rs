//! Which of a file's tensors are the network's: training scripts save it as a field of something larger (`detector.`,
//! `model.net.`), with an average of its weights, losses and metrics beside it.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::family::{FAMILIES, Family, OURS};
use super::names::{counted, shown};
use super::python::Literal;

/// Keys that state dicts are saved under; the most likely first.
pub(super) const WRAPPERS: [&str; 8] =
    ["model", "state_dict", "model_state_dict", "model_state", "net", "weights", "module", "model_ema"];

/// Words in the names of averages of a network's weights, which stand beside the network itself.
const AVERAGES: [&str; 7] = ["ema", "swa", "averaged", "average", "avg", "teacher", "shadow"];

/// Most networks in a file.
pub(super) const MOST_NETWORKS: usize = 64;

/// Names shown of what was left out.
const SHOWN: usize = 3;

/// Which tensors of a file are taken for the network's, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// What stands before the network's names: keys of dicts and the beginning that its tensors share, without the dot
    /// at the end; empty where there is nothing.
    pub prefix: String,
    /// The same of other networks in the file.
    pub others: Vec<String>,
    /// Tensors beside the networks: losses, metrics, counters.
    pub beside: Vec<String>,
}

impl Selection {
    /// What was left out, as a sentence; `None` if nothing was.
    pub fn note(&self) -> Option<String> {
        let mut left = Vec::new();
        if !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(|name| quoted(name)).collect();
            left.push(format!("{}, which `--prefix` chooses", listed(&others, others.len())));
        }
        // Every BatchNorm counts its batches, and a network's own counters are not worth a word either.
        let counts = |name: &str| FAMILIES.iter().any(|family| family.is_counter(name));
        let beside: Vec<String> = self.beside.iter().filter(|name| !counts(name)).map(|name| quoted(name)).collect();
        if !beside.is_empty() {
            left.push(format!("{} beside it ({})", counted(beside.len(), "tensor"), listed(&beside, SHOWN)));
        }
        let of = if self.prefix.is_empty() { String::new() } else { format!(" of {}", quoted(&self.prefix)) };
        (!left.is_empty()).then(|| format!("the network{of} is read; left out: {}", left.join("; ")))
    }
}

fn quoted(name: &str) -> String {
    if name.is_empty() { "what has no prefix".into() } else { format!("`{}`", shown(name)) }
}

fn listed(names: &[String], most: usize) -> String {
    let more = if names.len() > most { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(most)].join(", "))
}

/// What may be a network: a dict, and what its names begin with there.
#[derive(Clone, Debug)]
struct Candidate {
    /// Number of the dict.
    dict: usize,
    /// The keys that lead to it.
    path: Vec<String>,
    /// With the dot at its end, or empty.
    prefix: String,
    /// What is called so.
    family: &'static Family,
    /// Whether all of the family's signs are there.
    whole: bool,
}

impl Candidate {
    fn label(&self) -> String {
        let prefix = self.prefix.strip_suffix('.').filter(|prefix| !prefix.is_empty());
        self.path.iter().map(String::as_str).chain(prefix).collect::<Vec<_>>().join(".")
    }

    /// Whether a user may mean it by this, given without a dot at its end.
    fn answers_to(&self, wanted: &str) -> bool {
        let prefix = self.prefix.strip_suffix('.').unwrap_or_default();
        [self.label().as_str(), prefix, &self.path.join(".")].contains(&wanted)
            || self.path.last().is_some_and(|key| key == wanted)
    }

    /// The likelier, the less.
    fn rank(&self) -> [usize; 4] {
        let words = self.path.iter().map(String::as_str).chain(self.prefix.split('.'));
        let average = words.flat_map(|word| word.split(['_', '-'])).any(|word| {
            let word = word.to_ascii_lowercase();
            AVERAGES.contains(&word.as_str())
        });
        // Wrapped ones win over a network that lies about in the root.
        let known = |key: &String| WRAPPERS.iter().position(|wrapper| wrapper == key);
        let wrapper = self.path.last().map_or(WRAPPERS.len(), |key| known(key).unwrap_or(WRAPPERS.len() + 1));
        [usize::from(!self.whole), usize::from(average), wrapper, self.prefix.matches('.').count()]
    }
}

/// A dict of tensors: the keys that lead to it, and its tensors' names.
pub(super) type Names<'a> = (Vec<String>, Vec<&'a str>);

/// A network's tensors, taken out of a file.
#[derive(Debug)]
pub(super) struct Taken {
    /// By their names within the network.
    pub tensors: Vec<(String, Entry)>,
    pub family: &'static Family,
    pub selection: Selection,
    /// What their places are in, where that is not the file.
    pub decoded: Option<Vec<u8>>,
    /// What stands beside the network and tells of it.
    pub told: Told,
}

/// What a file says of its network outside of the tensors: a checkpoint under `meta` (MMDetection), an ONNX model by its graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// Whether blocks have their strides in the first convolution.
    pub stride_in_1x1: Option<bool>,
    /// RoIAlign's samples a bin and axis, for RoIs of so many features a side.
    pub sampling: Vec<(usize, usize)>,
    /// What had to be guessed of the tensors themselves, in words.
    pub guessed: Vec<String>,
    /// The configuration of its training; no literal where there is none.
    pub config: Literal,
    /// Names of its classes, without the background; empty where there are none.
    pub classes: Vec<String>,
}

impl Taken {
    /// All tensors of a file in which there is no network.
    pub(super) fn all(tensors: Vec<(String, Entry)>) -> Self {
        Self { tensors, family: OURS, selection: Selection::default(), decoded: None, told: Told::default() }
    }
}

/// Where the network of a file is.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// Number of the dict.
    pub dict: usize,
    family: &'static Family,
    prefix: String,
    /// Prefixes of other networks in the same dict.
    rivals: Vec<String>,
    selection: Selection,
}

impl Choice {
    /// These tensors of the network's, after all names of the dict went through [`Choice::within`].
    pub(super) fn taken(self, tensors: Vec<(String, Entry)>) -> Taken {
        let told = Told::default();
        Taken { tensors, family: self.family, selection: self.selection, decoded: None, told }
    }

    /// The name within the network of a tensor of the chosen dict; remembers what is left out.
    pub(super) fn within<'a>(&mut self, name: &'a str) -> Option<&'a str> {
        let family = self.family;
        let inner = |prefix: &str| {
            let rest = name.strip_prefix(prefix)?;
            family.modules.iter().any(|module| rest.starts_with(module)).then_some(rest)
        };
        let found = inner(&self.prefix);
        if found.is_none() && !self.rivals.iter().any(|rival| inner(rival).is_some()) {
            self.selection.beside.push(name.into());
        }
        found
    }
}

/// Finds the network among dicts of tensors; `wanted` says which, where there are several. `None` if there is none.
///
/// # Errors
/// A clause that reads on after the file's name: several that are equally likely, or none that is wanted.
pub(super) fn choose(dicts: &[Names<'_>], wanted: Option<&str>) -> Result<Option<Choice>, String> {
    let each = dicts.iter().enumerate();
    let mut candidates: Vec<Candidate> = each.flat_map(|(dict, names)| candidates(dict, names)).collect();
    if candidates.len() > MOST_NETWORKS {
        return Err(format!("holds more than {MOST_NETWORKS} networks: save the one that is meant alone"));
    }
    candidates.sort_by_cached_key(|candidate| (candidate.rank(), candidate.label()));
    let all = || candidates.iter().map(|candidate| quoted(&candidate.label())).collect::<Vec<_>>().join(", ");
    let wanted = wanted.map(|wanted| wanted.trim_end_matches('.'));
    let meant: Vec<&Candidate> =
        candidates.iter().filter(|c| wanted.is_none_or(|wanted| c.answers_to(wanted))).collect();
    let chosen = match (meant.as_slice(), wanted) {
        (&[], Some(wanted)) => {
            let there = if candidates.is_empty() { "nowhere in it".into() } else { format!("but of {}", all()) };
            let signs: Vec<String> =
                FAMILIES.iter().map(|f| format!("`{}` and `{}`", f.signs[0], f.signs[1])).collect();
            return Err(format!(
                "has no network of `{}` (names that go on with {}), {there}: say another `--prefix`, or none",
                shown(wanted),
                signs.join(", or ")
            ));
        }
        (&[], None) => return Ok(None),
        (&[first, second, ..], _) if first.rank() == second.rank() => {
            return Err(format!("holds several networks, of {}: say which with `--prefix`", all()));
        }
        (&[first, ..], _) => first,
    };
    let rivals = candidates.iter().filter(|candidate| !std::ptr::eq(*candidate, chosen));
    Ok(Some(Choice {
        dict: chosen.dict,
        family: chosen.family,
        prefix: chosen.prefix.clone(),
        rivals: rivals.clone().filter(|rival| rival.dict == chosen.dict).map(|rival| rival.prefix.clone()).collect(),
        selection: Selection {
            prefix: chosen.label(),
            others: rivals.filter(|rival| rival.whole).map(Candidate::label).collect(),
            beside: Vec::new(),
        },
    }))
}

/// Whether a network is found by a tensor of this name.
pub(super) fn is_sign(name: &str) -> bool {
    FAMILIES.iter().flat_map(|family| family.signs).any(|sign| prefix_of(name, sign).is_some())
}

/// What stands before a sign, with the dot at its end, if a name ends with that sign.
fn prefix_of<'a>(name: &'a str, sign: &str) -> Option<&'a str> {
    name.strip_suffix(sign).filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// The networks in one dict.
fn candidates(dict: usize, (path, names): &Names<'_>) -> Vec<Candidate> {
    let mut out = Vec::new();
    for &family in FAMILIES {
        let mut found: BTreeMap<&str, [bool; 2]> = BTreeMap::new();
        for name in names {
            for (i, sign) in family.signs.iter().enumerate() {
                if let Some(prefix) = prefix_of(name, sign) {
                    found.entry(prefix).or_default()[i] = true;
                }
            }
        }
        out.extend(found.into_iter().map(|(prefix, signs)| Candidate {
            dict,
            path: path.clone(),
            prefix: prefix.into(),
            family,
            whole: signs.iter().all(|there| *there),
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: [&str; 3] = [OURS.signs[0], OURS.signs[1], "roi_heads.box_predictor.cls_score.weight"];

    fn dict(path: &[&str], prefixes: &[&str], more: &[&str]) -> (Vec<String>, Vec<String>) {
        let network = prefixes.iter().flat_map(|prefix| NETWORK.iter().map(move |name| format!("{prefix}{name}")));
        (path.iter().map(|key| key.to_string()).collect(), network.chain(more.iter().map(|m| m.to_string())).collect())
    }

    /// The prefix and what was left out.
    fn chosen(dicts: &[(Vec<String>, Vec<String>)], wanted: Option<&str>) -> Result<Selection, String> {
        let names: Vec<Names<'_>> =
            dicts.iter().map(|(path, names)| (path.clone(), names.iter().map(String::as_str).collect())).collect();
        let mut choice = choose(&names, wanted)?.expect("no network");
        let taken: Vec<&str> = names[choice.dict].1.iter().filter_map(|name| choice.within(name)).collect();
        assert_eq!(taken, NETWORK);
        Ok(choice.taken(Vec::new()).selection)
    }

    #[test]
    fn any_prefix_is_found() {
        for prefix in ["", "detector.", "net.", "module.", "model.", "model.detector.", "a.b.c.d."] {
            let selection = chosen(&[dict(&["state_dict"], &[prefix], &[])], None).unwrap();
            let label = format!("state_dict.{prefix}");
            assert_eq!(selection, Selection { prefix: label.trim_end_matches('.').into(), ..Selection::default() });
            assert_eq!(selection.note(), None);
        }
    }

    #[test]
    fn what_stands_beside_is_left_out_and_said() {
        let beside = ["criterion.weight", "net.loss.weight", "map.total", "best", "backbones.x"];
        let selection = chosen(&[dict(&[], &["net."], &beside)], None).unwrap();
        assert_eq!(selection.beside, beside);
        let note = selection.note().unwrap();
        assert!(note.contains("of `net`") && note.contains("5 tensors beside it (`criterion.weight`"), "{note}");
        assert!(note.ends_with(", …)"), "{note}");
        let counters = chosen(&[dict(&[], &[""], &["n.num_batches_tracked"])], None).unwrap();
        assert_eq!(counters.note(), None);
    }

    #[test]
    fn an_average_beside_the_network_is_not_meant_unless_asked_for() {
        for [average, model] in
            [["ema_model.", "model."], ["avg.module.", "net."], ["Teacher.", "student."], ["swa-net.", "xyz.abc."]]
        {
            let both = [dict(&["state_dict"], &[average, model], &["loss.w"])];
            let selection = chosen(&both, None).unwrap();
            let (average, model) = (average.trim_end_matches('.'), model.trim_end_matches('.'));
            assert_eq!(selection.prefix, format!("state_dict.{model}"));
            assert_eq!(
                (selection.others.as_slice(), selection.beside.as_slice()),
                (&[format!("state_dict.{average}")][..], &["loss.w".into()][..])
            );
            let note = selection.note().unwrap();
            assert!(note.contains(&format!("`state_dict.{average}`, which `--prefix` chooses")), "{note}");
            for wanted in [average.to_string(), format!("{average}."), format!("state_dict.{average}")] {
                assert_eq!(chosen(&both, Some(&wanted)).unwrap().prefix, format!("state_dict.{average}"));
            }
        }
        // In dicts of their own; a word within a word is none.
        let dicts = [dict(&["model_ema"], &["module."], &[]), dict(&["schema"], &[""], &[])];
        assert_eq!(chosen(&dicts, None).unwrap().prefix, "schema");
        assert_eq!(chosen(&dicts, Some("model_ema")).unwrap().prefix, "model_ema.module");
    }

    #[test]
    fn wrappers_have_an_order() {
        let dicts = [dict(&[], &[""], &[]), dict(&["net"], &["x."], &[]), dict(&["model"], &["x.y."], &[])];
        assert_eq!(chosen(&dicts, None).unwrap().prefix, "model.x.y");
        assert_eq!(chosen(&dicts, None).unwrap().others, ["net.x", ""]);
        assert_eq!(chosen(&dicts[..1], None).unwrap().prefix, "");
    }

    #[test]
    fn where_nobody_can_tell_the_user_is_asked() {
        let two = [dict(&[], &["left.", "right."], &[])];
        let told = chosen(&two, None).unwrap_err();
        assert!(told.contains("`left`, `right`") && told.contains("`--prefix`"), "{told}");
        assert_eq!(chosen(&two, Some("right")).unwrap().prefix, "right");
        let told = chosen(&two, Some("middle")).unwrap_err();
        assert!(told.contains("`middle`") && told.contains("`left`, `right`"), "{told}");
        let told = choose(&[(vec![], vec!["a.b"])], Some("a")).unwrap_err();
        assert!(told.contains("nowhere"), "{told}");
        assert!(choose(&[(vec![], vec!["a.b", "xbackbone.body.conv1.weight"])], None).unwrap().is_none());
    }

    #[test]
    fn half_a_network_is_one_where_there_is_no_whole() {
        let half = (vec![], vec!["a.backbone.body.conv1.weight"]);
        assert_eq!(choose(std::slice::from_ref(&half), None).unwrap().unwrap().selection.prefix, "a");
        let whole = dict(&["x"], &["b."], &[]);
        let names = (whole.0.clone(), whole.1.iter().map(String::as_str).collect());
        let selection = choose(&[half, names], None).unwrap().unwrap().selection;
        assert_eq!((selection.prefix.as_str(), selection.others.len()), ("x.b", 0));
    }
}
