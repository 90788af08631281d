use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, Stream};

use super::HttpError;

/// An answer's body as it comes.
pub struct BodyStream(BoxStream<'static, Result<Bytes, HttpError>>);

impl BodyStream {
    /// Wraps a stream of pieces.
    #[must_use]
    pub fn new(pieces: impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static) -> Self {
        Self(pieces.boxed())
    }

    /// A body that is there already.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::new(stream::iter([Ok(bytes.into())]))
    }

    /// The next piece that is not empty; `None` at the end.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        while let Some(piece) = self.0.next().await {
            match piece {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// When the connection fails, or once the body is larger than `max_bytes`: the rest is not read.
    pub async fn read(self, max_bytes: usize) -> Result<Vec<u8>, HttpError> {
        self.read_after(Vec::new(), max_bytes).await
    }

    /// The whole body after the part of it that was read already.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_after(mut self, mut body: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, HttpError> {
        while body.len() <= max_bytes {
            match self.next().await? {
                Some(piece) => body.extend_from_slice(&piece),
                None => return Ok(body),
            }
        }
        Err(HttpError::TooLarge { max_bytes })
    }

    /// At most the first `max_bytes` of the body, or what of them came before the connection failed.
    pub async fn read_start(mut self, max_bytes: usize) -> Vec<u8> {
        let mut body = Vec::new();
        while body.len() < max_bytes {
            match self.next().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(max_bytes);
        body
    }
}
