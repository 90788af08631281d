//! What an object is to look after, and when. It has one alarm, which is set for the earliest.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cota_core::ids::Timestamp;

use super::database::{Database, Fault};
use super::rows::{columns, text, time, whole};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A turn that nobody may be driving, or a parked one.
    Turn,
    /// The end of a conversation that nobody touches.
    Retention,
    /// Connections that could not be told what is new.
    Tell,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Turn, Self::Retention, Self::Tell];

    fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Retention => "retention",
            Self::Tell => "tell",
        }
    }
}

/// The timers of one object. They are in its database; memory saves reading them.
pub(crate) struct Timers {
    database: Database,
    known: Mutex<HashMap<Kind, Timestamp>>,
}

impl Timers {
    /// The timers that the database has.
    pub(crate) fn of(database: Database) -> Result<Self, Fault> {
        let timers = Self { database, known: Mutex::default() };
        timers.read()?;
        Ok(timers)
    }

    /// Sets a timer for `at`, unless it is set for an earlier time.
    pub(crate) fn set_by(&self, kind: Kind, at: Timestamp) -> Result<(), Fault> {
        match self.known().get(&kind) {
            Some(set) if *set <= at => return Ok(()),
            Some(_) | None => {}
        }
        self.database.run("INSERT OR REPLACE INTO timer (kind, due_at) VALUES (?, ?)", vec![kind.name().into(), time(at)])?;
        let earlier = self.earliest().is_none_or(|earliest| at < earliest);
        self.known().insert(kind, at);
        if earlier { self.database.set_alarm(at.0) } else { Ok(()) }
    }

    /// Takes the timers whose time has come. The caller looks after each.
    pub(crate) fn take_due(&self, now: Timestamp) -> Result<Vec<Kind>, Fault> {
        let due: Vec<Kind> = self.known().iter().filter(|(_, at)| **at <= now).map(|(kind, _)| *kind).collect();
        for kind in &due {
            self.database.run("DELETE FROM timer WHERE kind = ?", vec![kind.name().into()])?;
            self.known().remove(kind);
        }
        Ok(due)
    }

    /// Sets the alarm for the earliest timer: one that has rung is gone.
    pub(crate) fn set_alarm(&self) -> Result<(), Fault> {
        self.earliest().map_or(Ok(()), |at| self.database.set_alarm(at.0))
    }

    /// Reads what the database has: after a change that was rolled back, memory may be wrong.
    pub(crate) fn read(&self) -> Result<(), Fault> {
        let rows = self.database.rows("SELECT kind, due_at FROM timer", Vec::new())?;
        let mut known = HashMap::new();
        for row in rows {
            let [kind, due_at] = columns(row)?;
            let kind = text(kind)?;
            if let Some(kind) = Kind::ALL.into_iter().find(|known| known.name() == kind) {
                known.insert(kind, Timestamp(whole(&due_at)?));
            }
        }
        *self.known() = known;
        Ok(())
    }

    fn earliest(&self) -> Option<Timestamp> {
        self.known().values().min().copied()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Kind, Timestamp>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
