//! Who shares memory with whom: tensors in buffers, copies in textures.

use std::cmp::Reverse;

/// Something that needs memory from one step to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenant {
    /// How much.
    pub bytes: u64,
    /// The first step that needs it …
    pub first: usize,
    /// … and the last.
    pub last: usize,
}

/// The slots' tenants, each slot's largest first. Largest tenant first, each goes into the first slot in which nobody
/// lives at the same time; the same tenants always get the same slots. Of tenants that are equally large, those that come
/// first or those that stay longest choose first: whichever takes less memory.
pub(super) fn share(tenants: &[Tenant]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..tenants.len()).collect();
    order.sort_by_key(|&i| (Reverse(tenants[i].bytes), tenants[i].first));
    let by_coming = in_order(tenants, &order);
    order.sort_by_key(|&i| (Reverse(tenants[i].bytes), Reverse(tenants[i].last - tenants[i].first)));
    let by_stay = in_order(tenants, &order);
    let bytes = |slots: &[Vec<usize>]| slots.iter().map(|these| tenants[these[0]].bytes).sum::<u64>();
    if bytes(&by_stay) < bytes(&by_coming) { by_stay } else { by_coming }
}

/// The slots, where tenants choose in this order.
fn in_order(tenants: &[Tenant], order: &[usize]) -> Vec<Vec<usize>> {
    let mut slots: Vec<Vec<usize>> = Vec::new();
    for &i in order {
        let apart = |&j: &usize| tenants[j].last < tenants[i].first || tenants[i].last < tenants[j].first;
        match slots.iter_mut().find(|slot| slot.iter().all(apart)) {
            Some(slot) => slot.push(i),
            None => slots.push(vec![i]),
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_meets_a_tenant_of_the_same_slot() {
        let tenant = |bytes, first, last| Tenant { bytes, first, last };
        assert!(share(&[]).is_empty());
        // The second and third follow one another beside the first, which outlives both; the fourth follows it.
        let tenants = [tenant(10, 0, 5), tenant(4, 0, 2), tenant(7, 3, 5), tenant(2, 6, 6)];
        assert_eq!(share(&tenants), [vec![0, 3], vec![2, 1]]);
        // A step in common is enough to be kept apart.
        assert_eq!(share(&[tenant(1, 0, 3), tenant(1, 3, 4)]).len(), 2);
    }

    /// In the order of coming these take 9, in that of their stay 8; in that of their sums of steps 9 again.
    #[test]
    fn those_that_stay_longest_choose_first_where_it_saves_memory() {
        let tenant = |(bytes, first, last)| Tenant { bytes, first, last };
        let tenants = [(4, 3, 3), (4, 0, 2), (1, 4, 8), (4, 1, 4), (2, 5, 5)].map(tenant);
        let slots = share(&tenants);
        assert_eq!(slots, [vec![3, 4], vec![1, 0, 2]]);
        assert_eq!(slots.iter().map(|slot| tenants[slot[0]].bytes).sum::<u64>(), 8);
    }
}
