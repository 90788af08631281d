use super::engine::Data;
use super::packet::{Packet, PacketError};

/// Puts packets together from the messages of the transport: a text, and as many binary messages behind it as it says.
#[derive(Debug)]
pub struct Assembler {
    most_bytes: usize,
    waiting: Option<Waiting>,
}

/// A packet whose attachments are not all here.
#[derive(Debug)]
struct Waiting {
    packet: Packet,
    missing: usize,
    bytes: usize,
}

/// Why a message makes up no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// Its text is no packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// It is text, where attachments are missing.
    #[error("a text came while attachments of the packet before it were missing")]
    TextInstead,
    /// It is binary, and no packet waits for it.
    #[error("a binary message came that no packet announced")]
    Unannounced,
    /// The attachments of one packet are too large.
    #[error("the attachments of one packet have more than {0} bytes together")]
    TooLarge(usize),
}

impl Assembler {
    /// Takes at most so many bytes of attachments for one packet.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self { most_bytes, waiting: None }
    }

    /// Takes the next message; yields the packet that it completes.
    ///
    /// # Errors
    /// When the message has no place here. The connection cannot go on then: nobody knows what belongs to what.
    pub fn take(&mut self, message: Data) -> Result<Option<Packet>, AssemblyError> {
        match (message, self.waiting.take()) {
            (Data::Text(_), Some(_)) => Err(AssemblyError::TextInstead),
            (Data::Binary(_), None) => Err(AssemblyError::Unannounced),
            (Data::Text(text), None) => {
                let (packet, missing) = Packet::decode(&text)?;
                Ok(self.wait_for(Waiting { packet, missing, bytes: 0 }))
            }
            (Data::Binary(bytes), Some(mut waiting)) => {
                waiting.bytes = waiting.bytes.saturating_add(bytes.len());
                if waiting.bytes > self.most_bytes {
                    return Err(AssemblyError::TooLarge(self.most_bytes));
                }
                waiting.packet.body.attach(bytes);
                waiting.missing = waiting.missing.saturating_sub(1);
                Ok(self.wait_for(waiting))
            }
        }
    }

    fn wait_for(&mut self, waiting: Waiting) -> Option<Packet> {
        if waiting.missing == 0 {
            return Some(waiting.packet);
        }
        self.waiting = Some(waiting);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;

    fn text(text: &str) -> Data {
        Data::Text(text.to_owned())
    }

    fn bytes(length: usize) -> Data {
        Data::Binary(vec![7; length])
    }

    #[test]
    fn a_packet_is_complete_with_its_attachments() {
        let mut assembler = Assembler::new(8);
        for _ in 0..2 {
            assert_eq!(assembler.take(text(TWO)), Ok(None));
            assert_eq!(assembler.take(bytes(5)), Ok(None));
            let packet = assembler.take(bytes(3)).unwrap().unwrap();
            assert_eq!(packet.body.attachments(), [vec![7; 5], vec![7; 3]]);
        }
        assert!(assembler.take(text(r#"50-["a"]"#)).unwrap().is_some(), "none are no reason to wait");
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (messages, error) in [
            (vec![bytes(1)], AssemblyError::Unannounced),
            (vec![text(TWO), text(TWO)], AssemblyError::TextInstead),
            (vec![text(TWO), bytes(9)], AssemblyError::TooLarge(8)),
            (vec![text(TWO), bytes(4), bytes(5)], AssemblyError::TooLarge(8)),
            (vec![text("x")], AssemblyError::Packet(PacketError::Type)),
        ] {
            let mut assembler = Assembler::new(8);
            let mut last = Ok(None);
            for message in messages {
                last = assembler.take(message);
            }
            assert_eq!(last, Err(error));
        }
    }
}
