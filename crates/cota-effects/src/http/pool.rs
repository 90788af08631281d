//! The connections to every host, kept from one request to the next.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::poll_fn;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Executor as _, Timer as _};
use hyper_rustls::HttpsConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service as _;

use super::connector::Way;
use super::line::{Fault, Line, Unanswered};

/// Most connections that are kept to one host.
const MOST_KEPT: usize = 256;
/// How long a connection is kept that nobody uses.
const KEPT: Duration = Duration::from_secs(90);

/// Sends requests over connections that are free, and over new ones where there is none.
#[derive(Clone)]
pub(super) struct Pool {
    connector: HttpsConnector<Way>,
    free: Arc<Free>,
}

/// The connections that nobody uses.
#[derive(Default)]
struct Free {
    lines: Mutex<HashMap<Host, Vec<Rested>>>,
    swept: OnceLock<()>,
}

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Host {
    is_tls: bool,
    authority: Authority,
}

struct Rested {
    line: Box<Line>,
    since: Instant,
}

/// Why a request was not answered.
pub(super) enum Failure {
    /// There is no connection.
    Connect(Fault),
    /// It broke off.
    Cut(Fault),
}

/// An answer's body. Its connection is free again at its end, and closed where the rest is not there when nobody wants it.
pub(super) struct Answer {
    body: Incoming,
    line: Option<Box<Line>>,
    host: Host,
    free: Arc<Free>,
}

impl Pool {
    pub(super) fn new(connector: HttpsConnector<Way>) -> Self {
        Self { connector, free: Arc::default() }
    }

    /// Sends a request to an absolute address, and returns with the head of the answer.
    ///
    /// # Errors
    /// When no answer came.
    pub(super) async fn request(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Answer>, Failure> {
        let uri = request.uri().clone();
        let host = Host::of(&uri).ok_or_else(|| Failure::Connect("the address names no host".into()))?;
        loop {
            let free = self.free.take(&host);
            let is_new = free.is_none();
            let mut line = match free {
                Some(line) => line,
                // Boxed, for it is rare, and as large as ten requests.
                None => Box::pin(self.connect(uri.clone())).await.map_err(Failure::Connect)?,
            };
            direct(&mut request, &uri, &host, line.is_forwarded);
            match line.send(request).await {
                Ok(response) => {
                    let free = Arc::clone(&self.free);
                    return Ok(response.map(|body| Answer { body, line: Some(line), host, free }));
                }
                // The host may hang up at the moment at which a connection that has rested is taken up again.
                Err(Unanswered { unsent: Some(unsent), .. }) if !is_new => request = *unsent,
                Err(Unanswered { fault, .. }) => return Err(Failure::Cut(fault)),
            }
        }
    }

    async fn connect(&self, uri: Uri) -> Result<Box<Line>, Fault> {
        self.free.swept.get_or_init(|| TokioExecutor::new().execute(sweep(Arc::downgrade(&self.free))));
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context)).await?;
        Line::over(connector.call(uri).await?).await.map(Box::new)
    }
}

impl Host {
    fn of(uri: &Uri) -> Option<Self> {
        Some(Self { is_tls: uri.scheme_str()? == "https", authority: uri.authority()?.clone() })
    }
}

/// Says where a request goes, as RFC 9112 wants it (section 3.2).
fn direct(request: &mut Request<Full<Bytes>>, uri: &Uri, host: &Host, is_forwarded: bool) {
    if let Ok(host) = HeaderValue::from_str(host.authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = match uri.path_and_query() {
        Some(path) if !is_forwarded => Uri::from(path.clone()),
        Some(_) | None => uri.clone(),
    };
}

impl Free {
    fn take(&self, host: &Host) -> Option<Box<Line>> {
        loop {
            // What is closed is dropped without the lock.
            let Rested { mut line, since } = self.lock().get_mut(host)?.pop()?;
            if since.elapsed() < KEPT && line.is_free() {
                return Some(line);
            }
        }
    }

    fn keep(&self, host: &Host, mut line: Box<Line>) {
        if !line.is_free() {
            return;
        }
        let mut lines = self.lock();
        let rested = lines.entry(host.clone()).or_default();
        if rested.len() < MOST_KEPT {
            rested.push(Rested { line, since: Instant::now() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Host, Vec<Rested>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has rested for too long, as long as there is a pool.
async fn sweep(free: Weak<Free>) {
    loop {
        TokioTimer::new().sleep(KEPT / 2).await;
        let Some(free) = free.upgrade() else { return };
        let mut lines = free.lock();
        lines.values_mut().for_each(|rested| rested.retain(|line| line.since.elapsed() < KEPT));
        lines.retain(|_, rested| !rested.is_empty());
    }
}

impl Stream for Answer {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { body, line, host, free } = &mut *self;
        let Some(moving) = line else { return Poll::Ready(None) };
        let piece = ready!(moving.poll_body(body, context));
        match &piece {
            Some(Ok(_)) => {}
            Some(Err(_)) => *line = None,
            None => line.take().into_iter().for_each(|line| free.keep(host, line)),
        }
        Poll::Ready(piece)
    }
}

impl Drop for Answer {
    /// A stream says itself where it ends, so the end of its body is often there, and nobody has read it.
    fn drop(&mut self) {
        let _ = Pin::new(self).poll_next(&mut Context::from_waker(Waker::noop()));
    }
}
