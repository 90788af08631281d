//! Reading a conversation: whole, or what waits, or its events.

use std::sync::Arc;
use std::time::Duration;

use cota_core::event::{Event, InboxMessage};
use cota_core::ids::{ConversationKey, Seq, Timestamp};
use cota_core::tracker::Tracker;
use cota_driver::store::Loaded;

use crate::DynamoStore;
use crate::fault::Fault;
use crate::head::Head;
use crate::item::{Gathered, Item, decoded, number_of, sort_of};
use crate::known::Reading;
use crate::place::{self, LOG, MESSAGES, RECORD, ROOM, SAVED, SNAPSHOT};
use crate::retention;
use crate::table::{Page, Range, Table};

/// Items of the first page of a load: the state of a plain conversation. Its log has at most some twenty items behind the
/// snapshot.
const FIRST_PAGE: i32 = 26;
/// Items of a further page.
const PAGE: i32 = 100;
/// Behind everything of a prefix.
const END: char = '~';
/// A query may see a part of another's write. It is made again until what it saw fits together.
const TRIES: u32 = 8;

/// The attributes of large values.
pub(crate) const EVENTS: &str = "events";
pub(crate) const MESSAGE: &str = "message";
pub(crate) const RUN: &str = "run";
pub(crate) const TRACKER: &str = "tracker";

/// A conversation as one query found it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) head: Head,
    pub(crate) loaded: Loaded,
    pub(crate) lasting: Lasting,
}

/// The items that a state was made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lasting {
    pub(crate) places: Vec<String>,
    /// The end of the first of them that will be gone, in seconds.
    pub(crate) earliest: Option<u64>,
}

/// Everything that a turn starts from: one call, however long the conversation is.
pub(crate) async fn whole(store: &DynamoStore, key: &ConversationKey) -> Result<Option<Whole>, Fault> {
    let partition = place::conversation(key);
    let mut snapshot = store.snapshots.of(key);
    for attempt in 0..TRIES {
        let reader = read_whole(&store.table, &partition, snapshot, store.readings.of(key)).await?;
        store.rooms.note(key, reader.followed_until);
        match reader.finish()? {
            Fits::Nothing => return Ok(None),
            Fits::Whole(whole, reading) => {
                store.snapshots.note(key, reading.reaches);
                store.readings.keep(key, reading);
                return Ok(Some(*whole));
            }
            Fits::Not if snapshot > Seq::default() => snapshot = Seq::default(),
            Fits::Not => pause(attempt).await,
        }
    }
    Err(Fault::unreadable("a conversation", "its items do not fit together"))
}

/// The record and the messages that wait: one call where they fit into a page.
pub(crate) async fn waiting(store: &DynamoStore, key: &ConversationKey) -> Result<Option<(Head, Vec<InboxMessage>)>, Fault> {
    let partition = place::conversation(key);
    for attempt in 0..TRIES {
        let mut items = store.table.query_all(&partition, MESSAGES, ROOM).await?;
        let room = items.pop_if(|last| sort_of(last) == ROOM);
        store.rooms.change(key, room.as_ref().map_or(Timestamp::default(), followed_until));
        let Some(head) = items.pop_if(|last| sort_of(last) == RECORD).as_ref().map(Head::read).transpose()? else { return Ok(None) };
        if head.deleting || head.record.pending as usize == items.len() {
            let inbox = items.iter().map(|item| decoded(item, MESSAGE)).collect::<Result<_, _>>()?;
            return Ok(Some((head, inbox)));
        }
        pause(attempt).await;
    }
    Err(Fault::unreadable("an inbox", "its messages do not fit its record"))
}

/// The events after `after`, at most `limit`, in order.
pub(crate) async fn events(table: &Table, key: &ConversationKey, after: Seq, limit: usize) -> Result<Vec<Event>, Fault> {
    let (partition, from, to) = (place::conversation(key), place::log(after.next(), 0), format!("{LOG}{END}"));
    let page_limit = i32::try_from(limit).unwrap_or(PAGE).clamp(1, PAGE);
    let (mut events, mut log, mut next) = (Vec::new(), Gathered::default(), None);
    while events.len() < limit {
        let range = Range { partition: &partition, from: &from, to: &to, descending: false, limit: Some(page_limit), after: next };
        let page = table.query(range).await?;
        for item in page.items {
            if let Some(commit) = log.add(item, EVENTS) {
                events.extend(events_of(&commit)?.into_iter().filter(|event| event.seq > after));
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    events.truncate(limit);
    Ok(events)
}

/// From the end: the snapshot, the saved run, the record, what waits, and the log as far back as the snapshot, which reaches at
/// least to `snapshot`.
async fn read_whole(table: &Table, partition: &str, snapshot: Seq, before: Arc<Reading>) -> Result<Reader, Fault> {
    let (from, to) = (place::log(snapshot.next(), 0), format!("{SNAPSHOT}{END}"));
    let (mut reader, mut after, mut limit) = (Reader { before, ..Reader::default() }, None, FIRST_PAGE);
    loop {
        let range = Range { partition, from: &from, to: &to, descending: true, limit: Some(limit), after };
        let Page { items, next } = table.query(range).await?;
        for item in items {
            if reader.take(item)? {
                return Ok(reader);
            }
        }
        if next.is_none() {
            return Ok(reader);
        }
        (after, limit) = (next, PAGE);
    }
}

/// What a query has found so far, from the end.
#[derive(Default)]
struct Reader {
    /// What was read the last time.
    before: Arc<Reading>,
    snapshot_parts: Gathered,
    snapshot: Vec<u8>,
    /// What the snapshot says, where it is another than before.
    tracker: Option<Tracker>,
    saved_parts: Gathered,
    saved: Option<Vec<u8>>,
    /// Until when somebody may follow.
    followed_until: Timestamp,
    head: Option<Head>,
    inbox: Vec<InboxMessage>,
    log: Gathered,
    /// The newest commit first.
    commits: Vec<Vec<u8>>,
    lasting: Lasting,
}

/// Whether what a query saw fits together.
enum Fits {
    Nothing,
    Whole(Box<Whole>, Reading),
    Not,
}

impl Reader {
    /// Takes an item; says whether nothing behind it is needed.
    fn take(&mut self, item: Item) -> Result<bool, Fault> {
        let place = sort_of(&item).to_owned();
        if place.starts_with(SAVED) {
            self.saved = self.saved_parts.add(item, RUN).or(self.saved.take());
            return Ok(false);
        }
        if place == ROOM {
            self.followed_until = followed_until(&item);
            return Ok(false);
        }
        if place == RECORD {
            self.head = Some(Head::read(&item)?);
            return Ok(false);
        }
        if place.starts_with(MESSAGES) {
            self.inbox.push(decoded(&item, MESSAGE)?);
            return Ok(false);
        }
        let is_snapshot = place.starts_with(SNAPSHOT);
        if !is_snapshot && number_of(&item, LAST).is_some_and(|last| last <= self.reaches().0) {
            return Ok(true);
        }
        self.lasting.earliest = self.lasting.earliest.into_iter().chain(retention::end(&item)).min();
        self.lasting.places.push(place);
        if !is_snapshot {
            self.commits.extend(self.log.add(item, EVENTS));
        } else if let Some(snapshot) = self.snapshot_parts.add(item, TRACKER) {
            if snapshot != self.before.snapshot {
                self.tracker = Some(tracker_of(&snapshot)?);
            }
            self.snapshot = snapshot;
        }
        Ok(false)
    }

    /// Up to where the snapshot reaches.
    fn reaches(&self) -> Seq {
        match &self.tracker {
            Some(tracker) => tracker.head,
            None if self.snapshot.is_empty() => Seq::default(),
            None => self.before.reaches,
        }
    }

    fn finish(mut self) -> Result<Fits, Fault> {
        let reaches = self.reaches();
        self.commits.reverse();
        let state = self.state()?;
        let Some(head) = self.head else { return Ok(Fits::Nothing) };
        self.inbox.reverse();
        let record = &head.record;
        let is_whole = state.as_ref().is_some_and(|tracker| tracker.head == record.head);
        let fits = is_whole && record.pending as usize == self.inbox.len() && record.saved == self.saved.is_some();
        if !fits && !head.deleting {
            return Ok(Fits::Not);
        }
        let tracker = state.unwrap_or_default();
        let reading = Reading { snapshot: self.snapshot, reaches, commits: self.commits, tracker: tracker.clone() };
        let loaded = Loaded { tracker, saved: self.saved, inbox: self.inbox };
        Ok(Fits::Whole(Box::new(Whole { head, loaded, lasting: self.lasting }), reading))
    }

    /// The snapshot with the commits behind it, of which only those are read that were not there before; none where some are
    /// missing.
    fn state(&mut self) -> Result<Option<Tracker>, Fault> {
        let before = &self.before;
        let goes_on = self.snapshot == before.snapshot && self.commits.starts_with(&before.commits);
        let (mut tracker, known) = match self.tracker.take() {
            _ if goes_on => (before.tracker.clone(), before.commits.len()),
            Some(tracker) => (tracker, 0),
            None if self.snapshot.is_empty() => (Tracker::default(), 0),
            None => (tracker_of(&self.snapshot)?, 0),
        };
        for commit in self.commits.iter().skip(known) {
            for event in events_of(commit)? {
                if event.seq > tracker.head.next() {
                    return Ok(None);
                }
                tracker.apply(&event);
            }
        }
        Ok(Some(tracker))
    }
}

/// What the note says that somebody may follow.
fn followed_until(room: &Item) -> Timestamp {
    Timestamp(retention::end(room).unwrap_or_default().saturating_mul(1000))
}

/// The last event's place, in an item of the log.
pub(crate) const LAST: &str = "last";

fn tracker_of(snapshot: &[u8]) -> Result<Tracker, Fault> {
    serde_json::from_slice(snapshot).map_err(|error| Fault::unreadable("a snapshot", error))
}

fn events_of(commit: &[u8]) -> Result<Vec<Event>, Fault> {
    serde_json::from_slice(commit).map_err(|error| Fault::unreadable("a turn's events", error))
}

/// A short while, longer and less alike the more often it is asked for.
pub(crate) async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=2 << attempt.min(5)))).await;
}
