//! The options' values, as they are written.

use std::ops::RangeInclusive;

use maskrcnn::engine::vision::{Channels, Normalize, Pages};

/// The pages that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All but those that are versions of others.
    All,
    /// These, from 1.
    Some(Vec<RangeInclusive<usize>>),
}

impl Wanted {
    /// The page that is meant, where it is one.
    pub(super) fn one(&self) -> Option<usize> {
        match self {
            Self::Some(ranges) => match ranges.as_slice() {
                [one] if one.start() == one.end() => Some(*one.start()),
                _ => None,
            },
            Self::All => None,
        }
    }

    /// The numbers of those that are there, in rising order.
    ///
    /// # Errors
    /// The reason, where none of them is.
    pub(super) fn of(&self, there: &Pages) -> Result<Vec<usize>, String> {
        let Self::Some(ranges) = self else { return Ok(there.whole.clone()) };
        let found: Vec<usize> = (1..=there.count).filter(|n| ranges.iter().any(|r| r.contains(n))).collect();
        match found.is_empty() {
            false => Ok(found),
            true => Err(format!("has no page {}: it has {}; give one of them", text(ranges), there.count)),
        }
    }

    /// What to say of pages that are not taken though they are there, or not there though they are asked for.
    pub(super) fn told(&self, there: &Pages) -> Option<String> {
        let others = there.count - there.whole.len();
        match self {
            Self::All if others > 0 => Some(format!(
                "{others} of {} pages are masks or smaller versions, and left out (--pages 1-{} takes all)",
                there.count, there.count
            )),
            Self::Some(ranges) => {
                let past = ranges.iter().any(|r| *r.end() != usize::MAX && *r.end() > there.count);
                past.then(|| format!("has {} pages: of {}, those are done that are there", there.count, text(ranges)))
            }
            Self::All => None,
        }
    }
}

fn text(ranges: &[RangeInclusive<usize>]) -> String {
    let one = |r: &RangeInclusive<usize>| match (*r.start(), *r.end()) {
        (a, b) if a == b => a.to_string(),
        (a, usize::MAX) => format!("{a}-"),
        (a, b) => format!("{a}-{b}"),
    };
    ranges.iter().map(one).collect::<Vec<_>>().join(",")
}

/// `all`, or numbers and ranges.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    if text == "all" {
        return Ok(Wanted::All);
    }
    let wrong = || "give all, or pages from 1 on: 3, 2-5, 1,4-".to_string();
    let number = |t: &str| t.trim().parse().ok().filter(|&n: &usize| n > 0 && n < usize::MAX).ok_or_else(wrong);
    let range = |part: &str| match part.trim().split_once('-') {
        None => number(part).map(|n| n..=n),
        Some((a, "")) => number(a).map(|a| a..=usize::MAX),
        Some((a, b)) => {
            let (a, b) = (number(a)?, number(b)?);
            if a <= b { Ok(a..=b) } else { Err(format!("{a}-{b} ends before it begins")) }
        }
    };
    text.split(',').map(range).collect::<Result<_, _>>().map(Wanted::Some)
}

/// One number or three.
pub(super) fn channels(text: &str) -> Result<Channels, String> {
    let numbers: Option<Vec<usize>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([one]) => Ok(Channels::Grey(*one)),
        Some(&[r, g, b]) => Ok(Channels::Rgb([r, g, b])),
        _ => Err("give one channel, or three for red, green and blue; they are counted from 0".into()),
    }
}

/// A word for each way.
pub(super) fn of_normalize(how: Normalize) -> String {
    match how {
        Normalize::Auto => "auto".into(),
        Normalize::Full => "full".into(),
        Normalize::MinMax => "minmax".into(),
        Normalize::Percentiles(low, high) => format!("{low}%,{high}%"),
        Normalize::Range(low, high) => format!("{low},{high}"),
        _ => "another".into(),
    }
}

/// The same for channels.
pub(super) fn of_channels(channels: Option<Channels>) -> String {
    match channels {
        None | Some(Channels::Auto) => "auto".into(),
        Some(Channels::Grey(n)) => n.to_string(),
        Some(Channels::Rgb([r, g, b])) => format!("{r},{g},{b}"),
        Some(_) => "others".into(),
    }
}

pub(super) fn normalize(text: &str) -> Result<Normalize, String> {
    match text {
        "auto" => return Ok(Normalize::Auto),
        "full" => return Ok(Normalize::Full),
        "minmax" => return Ok(Normalize::MinMax),
        _ => {}
    }
    let wrong = || "give auto, full, minmax, two percentiles as in 1%,99%, or two values as in 0,4095".to_string();
    let (low, high) = text.split_once(',').ok_or_else(wrong)?;
    let (low, high) = (low.trim(), high.trim());
    let number = |t: &str| t.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(wrong);
    let ordered = |low: f64, high: f64| {
        if low < high { Ok((low, high)) } else { Err("the first is to be black, and less than the second".to_string()) }
    };
    match (low.strip_suffix('%'), high.strip_suffix('%')) {
        (Some(low), Some(high)) => {
            let (low, high) = ordered(number(low)?, number(high)?)?;
            if low < 0.0 || high > 100.0 {
                return Err("percentiles are between 0% and 100%".into());
            }
            Ok(Normalize::Percentiles(low, high))
        }
        (None, None) => ordered(number(low)?, number(high)?).map(|(low, high)| Normalize::Range(low, high)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_normalize_are_read() {
        assert_eq!(normalize("auto"), Ok(Normalize::Auto));
        assert_eq!(normalize("full"), Ok(Normalize::Full));
        assert_eq!(normalize("minmax"), Ok(Normalize::MinMax));
        assert_eq!(normalize("1%,99%"), Ok(Normalize::Percentiles(1.0, 99.0)));
        assert_eq!(normalize("0.5%, 99.5%"), Ok(Normalize::Percentiles(0.5, 99.5)));
        assert_eq!(normalize("-3,4095"), Ok(Normalize::Range(-3.0, 4095.0)));
        for bad in ["", "x", "1", "1,", "1%,2", "5,5", "9,1", "nan,1", "-1%,5%", "0%,101%", "1,2,3", "inf,inf"] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_and_channels_are_read() {
        let some = |ranges: &[RangeInclusive<usize>]| Ok(Wanted::Some(ranges.to_vec()));
        assert_eq!(wanted("all"), Ok(Wanted::All));
        assert_eq!(wanted("3"), some(&[3..=3]));
        assert_eq!(wanted("1, 4-6,9-"), some(&[1..=1, 4..=6, 9..=usize::MAX]));
        for bad in ["", "0", "-1", "2-1", "x", "1,", "1-2-3", "18446744073709551615"] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
        assert_eq!(channels("2,0,1"), Ok(Channels::Rgb([2, 0, 1])));
        assert_eq!(channels("4"), Ok(Channels::Grey(4)));
        for bad in ["", "1,2", "1,2,3,4", "-1", "r,g,b"] {
            assert!(channels(bad).is_err(), "{bad}");
        }
        assert_eq!(wanted("3").unwrap().one(), Some(3));
        assert!(wanted("3-4").unwrap().one().is_none() && Wanted::All.one().is_none());
    }
}
