//! COTA's frames over any socket: who is in which room, and what each of them is sent.
//!
//! A target that has a socket opens a [`Session`] for it with [`Gateway::open`](crate::Gateway::open), hands every text frame to
//! [`Session::handle`], and sends what [`Session::next`] yields. The session has no task, no timer and no buffer of its own
//! beside the frames that are ready: while the target does not ask for the next frame, because the client reads slowly, updates
//! wait in the host's bounded queues, and what overflows there is read from the record again.
//!
//! A text or image for a conversation that the socket has not joined joins it first, as a `join` without `stream` and `after`
//! would, but without a `join_confirm`. A message that was sent before is acknowledged to its sender alone, and its answer, where
//! there is one, is sent again.

mod open;
pub mod render;
mod room;
mod rooms;
mod saying;
mod session;

pub use open::Opening;
pub(crate) use render::utterances;
pub(crate) use rooms::Rooms;
pub use saying::Saying;
pub use session::Session;
pub(crate) use session::refused;

/// The code a socket is closed with that names no sender.
pub const MISSING_SENDER: u16 = 4001;
/// Where the upgrade is.
pub const PATH: &str = "/websocket";
