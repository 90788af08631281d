use cota_core::ids::Timestamp;

use crate::socketio::Namespace;

/// Most namespaces of one connection.
const MOST: usize = 8;

/// The namespaces that a client is in, or wants to be in.
#[derive(Debug)]
pub(super) struct Namespaces {
    entries: Vec<(Namespace, State)>,
    /// Since when the client is in none.
    alone_since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The application is to decide.
    Asked,
    Entered,
}

/// What becomes of a wish to enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    ToDecide,
    Repeated,
    TooMany,
}

impl Namespaces {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { entries: Vec::new(), alone_since: now }
    }

    pub(super) fn ask(&mut self, namespace: &Namespace) -> Entry {
        if self.state(namespace).is_some() {
            return Entry::Repeated;
        }
        if self.entries.len() >= MOST {
            return Entry::TooMany;
        }
        self.entries.push((namespace.clone(), State::Asked));
        Entry::ToDecide
    }

    pub(super) fn state(&self, namespace: &Namespace) -> Option<State> {
        self.entries.iter().find(|(known, _)| known == namespace).map(|(_, state)| *state)
    }

    /// Lets the client in; whether it had asked.
    pub(super) fn enter(&mut self, namespace: &Namespace) -> bool {
        let asked = self.entries.iter_mut().find(|(known, state)| known == namespace && *state == State::Asked);
        asked.map(|(_, state)| *state = State::Entered).is_some()
    }

    /// Takes the client out; where it was.
    pub(super) fn leave(&mut self, namespace: &Namespace, now: Timestamp) -> Option<State> {
        let state = self.state(namespace)?;
        self.entries.retain(|(known, _)| known != namespace);
        self.alone_since = now;
        Some(state)
    }

    pub(super) fn alone_since(&self) -> Option<Timestamp> {
        let is_in = self.entries.iter().any(|(_, state)| *state == State::Entered);
        (!is_in).then_some(self.alone_since)
    }
}
