//! COTA's frames: JSON texts over a WebSocket, and one way each over the SSE channel.
//!
//! [`ClientFrame::decode`] reads what a client sends and says what is wrong with it; [`ServerFrame::encode`] writes what it
//! gets. A frame that cannot be read is answered with [`FrameError::answer`] and the socket stays open.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientFrame, FRAME_BYTES, FrameError, ImageFrame, JoinFrame, LeaveFrame, TextFrame};
pub use server::{Actor, Message, RoomInfo, ServerFrame};
