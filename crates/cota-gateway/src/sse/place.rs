//! How far a stream has come, as the `id` of its events.

use std::collections::BTreeMap;
use std::fmt;

use cota_core::gather::gather;
use cota_core::ids::{ConversationId, Seq};
use cota_protocol::websocket::{ClientFrame, JoinFrame};

/// Sessions that an id may name: as many as one stream may be in.
const MOST: usize = 32;

/// The sessions of which a stream has shown messages.
///
/// As text, each is its last place, `:` or, where its replies come piece by piece, `~`, and its name; spaces between them. `-` is none:
/// an empty id would be no id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<ConversationId, Place>);

/// How far one session was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The last event that was shown.
    pub seq: Seq,
    /// Whether replies come piece by piece.
    pub streams: bool,
}

impl Places {
    /// Reads an id that a client brings back; what is none of ours is left out.
    pub(super) fn read(id: &str) -> Self {
        let place = |word: &str| {
            let (seq, rest) = word.split_at_checked(word.find([':', '~'])?)?;
            let place = Place { seq: Seq(seq.parse().ok()?), streams: rest.starts_with('~') };
            let session = ConversationId::new(rest.get(1..)?).ok()?;
            Some((session, place))
        };
        Self(gather(id.split(' ').filter_map(place).take(MOST)))
    }

    /// Notes that a session was shown up to a place.
    pub fn reach(&mut self, session: &ConversationId, place: Place) {
        self.0.insert(session.clone(), place);
    }

    /// Notes where a session begins that was not shown yet.
    pub(super) fn begin(&mut self, session: &ConversationId, place: Place) {
        self.0.entry(session.clone()).or_insert(place);
    }

    /// Forgets a session that was left.
    pub(super) fn leave(&mut self, session: &ConversationId) {
        self.0.remove(session);
    }

    /// The frames that join each session again, at its place.
    pub fn joins(&self) -> impl Iterator<Item = ClientFrame> {
        self.0.iter().map(|(session_id, place)| {
            let (session_id, after) = (session_id.clone(), Some(place.seq));
            ClientFrame::Join(JoinFrame { session_id, sender_id: None, stream: place.streams, after, token: None })
        })
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for (n, (session, place)) in self.0.iter().enumerate() {
            let space = if n == 0 { "" } else { " " };
            let mark = if place.streams { '~' } else { ':' };
            write!(f, "{space}{}{mark}{session}", place.seq)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_each_session_and_its_place() {
        let mut places = Places::default();
        places.reach(&ConversationId::new("b:1~x").unwrap(), Place { seq: Seq(12), streams: true });
        places.reach(&ConversationId::new("a").unwrap(), Place { seq: Seq(3), streams: false });
        assert_eq!(places.to_string(), "3:a 12~b:1~x");
        assert_eq!(Places::read("3:a 12~b:1~x"), places);
        places.leave(&ConversationId::new("a").unwrap());
        assert_eq!(places.to_string(), "12~b:1~x");
        places.leave(&ConversationId::new("b:1~x").unwrap());
        assert_eq!(places.to_string(), "-");
        for foreign in ["", "-", "7", "x:a", "7:", "-1:a", "99999999999999999999:a"] {
            assert_eq!(Places::read(foreign), Places::default(), "{foreign}");
        }
    }
}
