//! Who is in which room of this process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_channel::mpsc;

use cota_core::ids::{ConversationKey, SenderId};
use cota_protocol::websocket::{RoomInfo, ServerFrame};

/// Frames about who came and went that wait for one slow socket; later ones are left out.
const NOTICES: usize = 16;

/// The rooms.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: Mutex<HashMap<ConversationKey, Vec<Seat>>>,
    seats: AtomicU64,
}

/// One socket's place in the rooms it enters.
#[derive(Clone)]
pub(super) struct Seat {
    id: u64,
    user: SenderId,
    notices: mpsc::Sender<ServerFrame>,
}

impl Rooms {
    /// A place for a socket, and where it hears who comes and goes.
    pub(super) fn seat(&self, user: SenderId) -> (Seat, mpsc::Receiver<ServerFrame>) {
        let (notices, heard) = mpsc::channel(NOTICES);
        (Seat { id: self.seats.fetch_add(1, Ordering::Relaxed), user, notices }, heard)
    }

    /// Takes a socket into a room, and tells the others if its user is new there.
    pub(super) fn enter(&self, key: &ConversationKey, seat: &Seat) -> RoomInfo {
        let mut rooms = self.lock();
        let room = rooms.entry(key.clone()).or_default();
        let is_new = !room.iter().any(|other| other.user == seat.user);
        if !room.iter().any(|other| other.id == seat.id) {
            room.push(seat.clone());
        }
        let info = info(key, room);
        if is_new {
            tell(room, seat.id, &ServerFrame::UserJoined { user_id: seat.user.clone(), room_info: info.clone() });
        }
        info
    }

    /// Takes a socket out of a room, and tells the others if its user is gone.
    pub(super) fn leave(&self, key: &ConversationKey, seat: &Seat) {
        let mut rooms = self.lock();
        let Some(room) = rooms.get_mut(key) else { return };
        room.retain(|other| other.id != seat.id);
        if room.is_empty() {
            rooms.remove(key);
        } else if !room.iter().any(|other| other.user == seat.user) {
            let info = info(key, room);
            tell(room, seat.id, &ServerFrame::UserLeft { user_id: seat.user.clone(), room_info: info });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Vec<Seat>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(key: &ConversationKey, room: &[Seat]) -> RoomInfo {
    let mut users: Vec<SenderId> = Vec::new();
    for seat in room {
        if !users.contains(&seat.user) {
            users.push(seat.user.clone());
        }
    }
    RoomInfo::new(key.id.as_str(), users)
}

fn tell(room: &mut [Seat], except: u64, frame: &ServerFrame) {
    for seat in room.iter_mut().filter(|seat| seat.id != except) {
        // A socket that is too slow to hear of it learns who is there when it joins again.
        let _ = seat.notices.try_send(frame.clone());
    }
}
