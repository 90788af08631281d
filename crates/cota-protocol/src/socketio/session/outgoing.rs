use std::collections::VecDeque;

use crate::socketio::engine::Packet;

/// What a packet costs beside its data.
const OVERHEAD: usize = 32;

/// Packets that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    packets: VecDeque<Packet>,
    bytes: usize,
}

impl Outgoing {
    pub(super) fn push(&mut self, packet: Packet) {
        self.bytes = self.bytes.saturating_add(size(&packet));
        self.packets.push_back(packet);
    }

    pub(super) fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&packet));
        Some(packet)
    }

    /// Takes everything.
    pub(super) fn drain(&mut self) -> VecDeque<Packet> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(packet: &Packet) -> usize {
    let data = match packet {
        Packet::Message(data) => data.len(),
        Packet::Ping(text) | Packet::Pong(text) => text.len(),
        // base64 and the JSON of a handshake are small beside what the bounds allow.
        Packet::Open(_) | Packet::Close | Packet::Upgrade | Packet::Noop => 0,
    };
    data + OVERHEAD
}
