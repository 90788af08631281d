//! One connection to a host, moved along by whoever waits for an answer on it.
//!
//! hyper makes a connection a sender and a future that moves its bytes, meant for a task of its own. Here who asks polls both: a
//! call is not handed from task to task, and nothing but its own socket wakes it.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connection as _;

use super::connector::Leg;

/// What went wrong, as a library says it.
pub(super) type Fault = Box<dyn Error + Send + Sync>;

/// A connection that carries one request at a time.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<MaybeHttpsStream<Leg>, Full<Bytes>>,
    /// Whether a proxy forwards each request: it has to be told the whole address.
    pub(super) is_forwarded: bool,
}

/// Why there is no answer.
pub(super) struct Unanswered {
    pub(super) fault: Fault,
    /// The request, where nothing of it was sent.
    pub(super) unsent: Option<Box<Request<Full<Bytes>>>>,
}

impl Line {
    pub(super) async fn over(stream: MaybeHttpsStream<Leg>) -> Result<Self, Fault> {
        let is_forwarded = stream.connected().is_proxied();
        let (sender, connection) = http1::handshake(stream).await?;
        Ok(Self { sender, connection, is_forwarded })
    }

    /// Whether it can carry a request: the answer before was read to its end, and the host has not hung up.
    pub(super) fn is_free(&mut self) -> bool {
        self.move_along(&mut unheard()).is_pending() && self.sender.is_ready()
    }

    /// Sends a request, and returns with the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|context| {
            let is_over = Pin::new(&mut self.connection).poll(context).is_ready();
            // Only the connection brings the answer, so there is nothing else to be woken by.
            match answer.as_mut().poll(&mut unheard()) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if is_over => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match answered.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => Err(Unanswered { unsent: error.take_message().map(Box::new), fault: error.into_error().into() }),
            None => Err(Unanswered { unsent: None, fault: hung_up() }),
        }
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(super) fn poll_body(&mut self, body: &mut Incoming, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let mut body = Pin::new(body);
        loop {
            let frame = match body.as_mut().poll_frame(&mut unheard()) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    let is_over = self.move_along(context).is_ready();
                    let moved = body.as_mut().poll_frame(&mut unheard());
                    if is_over && moved.is_pending() {
                        return Poll::Ready(Some(Err(hung_up())));
                    }
                    ready!(moved)
                }
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(Ok(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                // Trailers.
                Some(Ok(Err(_))) => {}
            }
        }
    }

    /// Reads and writes what can be; ready once the connection is over.
    fn move_along(&mut self, context: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        Pin::new(&mut self.connection).poll(context)
    }
}

fn unheard() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn hung_up() -> Fault {
    "the host has hung up".into()
}
