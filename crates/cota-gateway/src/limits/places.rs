//! Connections that are open in this process, counted by whose they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Who;

/// How many connections each has open.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<Who, u32>>>);

/// A connection's place among those of somebody, for as long as it lives.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    who: Who,
}

impl Places {
    /// A place for one more connection, if so many are not open already.
    pub(super) fn take(&self, who: &Who, most: u32) -> Option<Place> {
        let mut open = self.lock();
        let count = open.get(who).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        open.insert(who.clone(), count + 1);
        Some(Place { places: self.clone(), who: who.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Who, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.lock();
        if let Some(count) = open.get_mut(&self.who) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cota_core::ids::Owner;

    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let places = Places::default();
        let [ana, bo] = ["ana", "bo"].map(|name| Who::Owner(Owner::new(name).unwrap()));
        let (first, second) = (places.take(&ana, 2).unwrap(), places.take(&ana, 2).unwrap());
        assert!(places.take(&ana, 2).is_none());
        assert!(places.take(&bo, 2).is_some());
        drop(first);
        let third = places.take(&ana, 2).unwrap();
        drop((second, third));
        assert!(places.lock().is_empty(), "who has none open is forgotten");
    }
}
