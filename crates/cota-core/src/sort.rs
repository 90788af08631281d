//! Sorting.

use std::cmp::Ordering;

/// Sorts items by an order of them. What is equal stays in the order in which it was.
///
/// All types share one sort, that of places. A slice's own sorts are compiled for each type and each order: four kilobytes of the
/// Worker's script every time. They are faster, so what is sorted often and at length has them still.
pub fn sort<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering) {
    let swaps = swaps(items.len(), &|one, other| match (items.get(one), items.get(other)) {
        (Some(one), Some(other)) => order(one, other),
        (None, _) | (_, None) => Ordering::Equal,
    });
    for (one, other) in swaps {
        items.swap(one, other);
    }
}

/// What to swap, one pair after the other, so that as many items come into the order of their places.
#[inline(never)]
fn swaps(count: usize, order: &dyn Fn(usize, usize) -> Ordering) -> Vec<(usize, usize)> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_unstable_by(|one, other| order(*one, *other).then(one.cmp(other)));
    let mut ranks = vec![0; count];
    for (rank, place) in places.into_iter().enumerate() {
        if let Some(of_place) = ranks.get_mut(place) {
            *of_place = rank;
        }
    }
    let mut swaps = Vec::new();
    for place in 0..count {
        // Each swap brings the item that is here to where it belongs.
        while let Some(rank) = ranks.get(place).copied().filter(|rank| *rank != place) {
            ranks.swap(place, rank);
            swaps.push((place, rank));
        }
    }
    swaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_equal_stays_in_its_order() {
        for (mut items, sorted) in [
            (vec![], vec![]),
            (vec!["b"], vec!["b"]),
            (vec!["b1", "a1", "b2", "a2"], vec!["a1", "a2", "b1", "b2"]),
            (vec!["c", "a", "b"], vec!["a", "b", "c"]),
            (vec!["b", "c", "a"], vec!["a", "b", "c"]),
        ] {
            sort(&mut items, |one, other| one.chars().next().cmp(&other.chars().next()));
            assert_eq!(items, sorted);
        }
    }

    proptest! {
        #[test]
        fn items_come_into_the_order_of_the_standard_library(keys in prop::collection::vec(0_u8..20, 0..80)) {
            let mut items: Vec<(u8, usize)> = keys.into_iter().zip(0..).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort(&mut items, |(one, _), (other, _)| one.cmp(other));
            prop_assert_eq!(items, expected);
        }
    }
}
