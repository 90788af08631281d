//! The connections of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use cota_protocol::socketio::RequestError;

use super::task::Command;

/// Most connections at once.
const MOST: usize = 20_000;
/// Requests that wait for one connection; more wait to wait.
const WAITING: usize = 2;

#[derive(Clone, Default)]
pub(super) struct Table(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    open: usize,
    by_sid: HashMap<String, mpsc::Sender<Command>>,
}

/// A connection's place in the table, for as long as it lives.
pub(super) struct Place {
    table: Table,
    sid: Option<String>,
}

impl Table {
    /// A place for a connection that only its own socket reaches.
    pub(super) fn enter(&self) -> Result<Place, RequestError> {
        let mut entries = self.lock();
        if entries.open >= MOST {
            return Err(RequestError::TooMany);
        }
        entries.open += 1;
        Ok(Place { table: self.clone(), sid: None })
    }

    /// Where the requests of a connection go.
    pub(super) fn find(&self, sid: &str) -> Result<mpsc::Sender<Command>, RequestError> {
        self.lock().by_sid.get(sid).cloned().ok_or(RequestError::UnknownSession)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Lets requests reach the connection under this name, and yields them.
    pub(super) fn answer_to(&mut self, sid: &str) -> mpsc::Receiver<Command> {
        let (commands, arriving) = mpsc::channel(WAITING);
        self.table.lock().by_sid.insert(sid.to_owned(), commands);
        self.sid = Some(sid.to_owned());
        arriving
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut entries = self.table.lock();
        entries.open = entries.open.saturating_sub(1);
        if let Some(sid) = &self.sid {
            entries.by_sid.remove(sid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let table = Table::default();
        let mut places: Vec<Place> = (0..MOST).map(|_| table.enter().unwrap()).collect();
        assert_eq!(table.enter().err(), Some(RequestError::TooMany));
        let _commands = places[0].answer_to("a");
        assert!(table.find("a").is_ok());
        places.remove(0);
        assert_eq!(table.find("a").err(), Some(RequestError::UnknownSession));
        assert!(table.enter().is_ok());
    }
}
