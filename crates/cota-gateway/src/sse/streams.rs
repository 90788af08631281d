//! The open streams of this process, by who reads them.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use futures_util::lock::{Mutex as AsyncMutex, MutexGuard as AsyncMutexGuard};
use futures_util::task::AtomicWaker;

use cota_core::ids::{BotName, Owner, SenderId};
use cota_protocol::websocket::ServerFrame;

use crate::websocket::Session;

/// Who reads a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    pub(crate) bot: BotName,
    pub(crate) owner: Owner,
    pub(crate) sender: SenderId,
}

/// The open streams. Each is kept alive by the answer that carries it.
#[derive(Default)]
pub(crate) struct Streams(Mutex<HashMap<Reader, Vec<Weak<Stream>>>>);

/// A stream's session, which the stream reads and requests write to.
pub(crate) struct Stream {
    session: AsyncMutex<Session>,
    /// Wakes the stream when a request has let go of the session.
    reading: AtomicWaker,
}

/// The session of a stream, for a request. When the request lets go of it, the stream looks what is new; fields are dropped in
/// their order.
pub(crate) struct Held<'s> {
    session: AsyncMutexGuard<'s, Session>,
    _then: Wake<'s>,
}

struct Wake<'s>(&'s AtomicWaker);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Reader {
    /// Whose session this is.
    pub(crate) fn of(session: &Session) -> Self {
        let identity = session.identity();
        Self { bot: session.bot().clone(), owner: identity.owner.clone(), sender: identity.sender.clone() }
    }
}

impl Streams {
    /// Puts a session where requests find it, as long as the stream lives.
    pub(crate) fn add(&self, reader: Reader, session: Session) -> Arc<Stream> {
        let stream = Arc::new(Stream { session: AsyncMutex::new(session), reading: AtomicWaker::new() });
        self.lock().entry(reader).or_default().push(Arc::downgrade(&stream));
        stream
    }

    /// The streams of a reader.
    pub(crate) fn of(&self, reader: &Reader) -> Vec<Arc<Stream>> {
        self.lock().get(reader).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// Forgets a stream that is over.
    pub(crate) fn remove(&self, reader: &Reader, stream: &Arc<Stream>) {
        let mut streams = self.lock();
        if let Some(of_reader) = streams.get_mut(reader) {
            of_reader.retain(|other| other.as_ptr() != Arc::as_ptr(stream));
            if of_reader.is_empty() {
                streams.remove(reader);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Reader, Vec<Weak<Stream>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream {
    /// The session, for a request.
    pub(crate) async fn hold(&self) -> Held<'_> {
        Held { session: self.session.lock().await, _then: Wake(&self.reading) }
    }

    /// The next frame, and the session as it is behind it. The session is held only while it is looked at, so that requests get
    /// hold of it however slowly the stream is read.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<(ServerFrame, AsyncMutexGuard<'_, Session>)> {
        self.reading.register(context.waker());
        let Some(mut session) = self.session.try_lock() else { return Poll::Pending };
        let frame = ready!(session.poll_next(context));
        Poll::Ready((frame, session))
    }
}

impl Deref for Held<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}
