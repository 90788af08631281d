//! The connections of a WebSocket API: who is connected, who sits in which room, and what is posted to whom.
//!
//! No process holds a connection, so all that is known of one stands in the ledger, under its own name and once more in each room
//! that it sits in. A connection that AWS says is gone is forgotten; one that nobody hears of again ends with its record.
//!
//! - `record`: what they say. `register`: reading and writing them.
//! - `rooms`: whether it is worth looking who sits somewhere.
//! - `post`: one frame to one connection. `fan_out`: frames to a room, and the pieces of a reply.

mod fan_out;
mod post;
mod record;
mod register;
mod rooms;

pub(crate) use fan_out::{Delivery, FanOut};
pub(crate) use post::Post;
pub(crate) use record::{Connection, ConnectionId, Seat, Sitting};
pub(crate) use register::{LASTING_MS, Register, room_info};
pub(crate) use rooms::Rooms;
