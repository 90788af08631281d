//! Collecting into maps and sets.

/// Puts items into a map or a set one by one.
///
/// Collecting into a `BTreeMap` or a `BTreeSet` sorts all items first, with a sort of its own for each type: four kilobytes of the
/// Worker's script every time. Those that a bot or a task needs are small.
pub fn gather<C: Default + Extend<T>, T>(items: impl IntoIterator<Item = T>) -> C {
    let mut all = C::default();
    items.into_iter().for_each(|item| all.extend([item]));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_last_of_a_key_counts_as_in_a_collection() {
        let items = [(2, 'b'), (1, 'a'), (2, 'c')];
        assert_eq!(gather::<BTreeMap<_, _>, _>(items), items.into_iter().collect());
    }
}
