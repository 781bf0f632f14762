//! Where things lie, as the twins find it: by walking over every map, row and column there is. Launches and shaders
//! compute the same places ([`Levels`](super::levels::Levels), `extents`). Code that both used would hide
//! its faults from the tests that compare the two, so nothing here may be called by a launch, and a twin calls nothing
//! else that tells a place (`tests/MUTANTS.md`).

use crate::tensor::{Shape, Value};

/// How many windows of `reach` elements, `step` apart, lie within `n`.
pub(crate) fn windows(n: usize, reach: usize, step: usize) -> usize {
    (0..).step_by(step).take_while(|first| first + reach <= n).count()
}

/// The maps of each image of `x`, whose images hold them one after the other, as `[B,H,W,C]`.
pub(crate) fn maps_of(x: &Value, maps: &[(usize, usize)]) -> Vec<Value> {
    let (b, c) = (x.shape.dim(0), x.shape.dim(3));
    let mut out = vec![Vec::new(); maps.len()];
    let mut rest = x.floats();
    for _ in 0..b {
        for (map, &(h, w)) in out.iter_mut().zip(maps) {
            let (part, after) = rest.split_at(h * w * c);
            map.extend_from_slice(part);
            rest = after;
        }
    }
    assert!(rest.is_empty(), "{} is more than {maps:?}", x.shape);
    maps.iter().zip(out).map(|(&(h, w), map)| Value::f32([b, h, w, c], map)).collect()
}

/// The maps `[B,H,W,C]`, those of each image one after the other: `[B,1,cells,C]`.
pub(crate) fn together(maps: &[Value]) -> Value {
    let (b, c) = (maps[0].shape.dim(0), maps[0].shape.dim(3));
    let mut images: Vec<_> = maps.iter().map(|m| m.floats().chunks_exact(m.shape.len() / b)).collect();
    let mut out = Vec::new();
    for _ in 0..b {
        images.iter_mut().for_each(|image| out.extend_from_slice(image.next().expect("as many images")));
    }
    Value::f32(Shape::from([b, 1, out.len() / (b * c), c]), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_within() {
        assert_eq!(windows(7, 3, 2), 3);
        assert_eq!(windows(8, 3, 2), 3);
        assert_eq!(windows(3, 3, 9), 1);
        assert_eq!(windows(2, 3, 1), 0);
    }

    #[test]
    fn maps_come_apart_and_together() {
        let x = Value::f32([2, 1, 8, 1], (0..16).map(|v| v as f32).collect());
        let maps = maps_of(&x, &[(2, 3), (1, 2)]);
        assert_eq!((maps[1].shape.dims(), maps[1].floats()), (&[2, 1, 2, 1][..], &[6.0, 7.0, 14.0, 15.0][..]));
        assert_eq!(maps[0].floats()[5..7], [5.0, 8.0]);
        let again = together(&maps);
        assert_eq!((again.shape, again.floats()), (x.shape, x.floats()));
    }
}
