use futures_util::StreamExt as _;

use cota_driver::store::StoreError;

use crate::platform::Content;
use crate::wire::Line;

/// An answer's lines as they come.
pub(super) struct Lines {
    /// What is still to come, if anything is.
    pieces: Option<worker::Body>,
    /// What was read of the next ones.
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn new(answer: Content) -> Self {
        match answer {
            Content::Whole(bytes) => Self { pieces: None, buffer: bytes.into() },
            Content::Pieces(pieces) => Self { pieces: Some(pieces), buffer: Vec::new() },
        }
    }

    /// The next line; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, StoreError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(|error| StoreError::Corrupt(error.to_string()));
            }
            let Some(pieces) = &mut self.pieces else { return Ok(None) };
            match pieces.next().await {
                Some(Ok(piece)) => self.buffer.extend(piece),
                Some(Err(error)) => return Err(StoreError::Unavailable(error.to_string())),
                None => return Ok(None),
            }
        }
    }
}
