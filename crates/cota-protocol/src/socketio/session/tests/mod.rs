//! The cases of the published test suites of Engine.IO 4 and Socket.IO 5, spoken to an application that says back what it hears.

mod changing;
mod engine;
mod entering;
mod random;

use serde_json::Value as Json;

use super::*;

const START: Timestamp = Timestamp(1_000_000);
const SID: &str = "s3cr3t";

/// A connection with an application that says back what it hears.
struct Echo {
    session: Session,
    now: Timestamp,
    closed: Vec<CloseReason>,
    emitted: usize,
}

fn settings() -> Settings {
    Settings { ping_interval_ms: 300, ping_timeout_ms: 200, max_payload: 1024, max_buffer: 4096, ..Settings::default() }
}

impl Echo {
    fn new(transport: Transport) -> Self {
        Self { session: Session::new(SID, transport, settings(), START), now: START, closed: Vec::new(), emitted: 0 }
    }

    /// A polling client that has its handshake.
    fn polling() -> Self {
        let mut echo = Self::new(Transport::Polling);
        assert!(echo.poll().is_ok());
        assert!(echo.answer().unwrap().starts_with('0'));
        echo
    }

    /// A client on a socket that has its handshake.
    fn socket() -> Self {
        let mut echo = Self::new(Transport::WebSocket);
        assert_eq!(echo.frames().len(), 1);
        echo
    }

    /// A client on a socket that is in the main namespace.
    fn connected() -> Self {
        let mut echo = Self::socket();
        assert_eq!(echo.say("40"), ["40{\"sid\":\"of /\"}", "42[\"auth\",{}]"]);
        echo
    }

    fn poll(&mut self) -> Result<(), RequestError> {
        let polled = self.session.poll();
        self.settle();
        polled
    }

    fn post(&mut self, body: &str) -> Result<(), RequestError> {
        let posted = self.session.receive_body(body.as_bytes(), self.now);
        self.settle();
        posted
    }

    fn answer(&mut self) -> Option<String> {
        self.session.take_poll()
    }

    fn polled(&mut self) -> Option<String> {
        self.poll().unwrap();
        self.answer()
    }

    fn frame(&mut self, frame: Data) {
        self.session.receive_frame(frame, self.now);
        self.settle();
    }

    /// Sends a text frame; what comes back as text.
    fn say(&mut self, text: &str) -> Vec<String> {
        self.frame(Data::Text(text.to_owned()));
        let texts = self.frames().into_iter().map(|frame| match frame {
            Data::Text(text) => text,
            Data::Binary(bytes) => format!("{bytes:?}"),
        });
        texts.collect()
    }

    fn frames(&mut self) -> Vec<Data> {
        std::iter::from_fn(|| self.session.next_frame()).collect()
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.session.tick(self.now);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.session.next_event() {
            assert!(self.closed.is_empty(), "nothing comes after the end");
            match event {
                Event::Connecting { namespace, auth } if ["/", "/custom"].contains(&namespace.as_str()) => {
                    self.session.accept(&namespace, &format!("of {namespace}"));
                    self.session.emit(&namespace, "auth", vec![Json::Object(auth)].into());
                }
                Event::Connecting { namespace, .. } => self.session.refuse(&namespace, "Invalid namespace", None, self.now),
                Event::Emitted { namespace, name, arguments, ack } => {
                    self.emitted += 1;
                    match ack {
                        Some(id) => self.session.acknowledge(&namespace, id, arguments),
                        None => self.session.emit(&namespace, format!("{name}-back"), arguments),
                    }
                }
                Event::Left(_) => {}
                Event::Closed(reason) => self.closed.push(reason),
            }
        }
        assert_eq!(self.session.is_closed(), !self.closed.is_empty());
    }
}
