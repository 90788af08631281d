//! Clients that talk: each sends its next message when it has the reply to the one before, and checks every reply.

pub(crate) mod http;
pub(crate) mod socket;
mod socketio;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use self::http::HttpClient;
use self::socket::Socket;
use self::socketio::SocketIo;

/// How clients reach a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Channel {
    Http,
    WebSocket,
    SocketIo,
}

impl Channel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::WebSocket => "WebSocket",
            Self::SocketIo => "Socket.IO",
        }
    }
}

/// What the clients of one measurement do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// `host:port`.
    pub(crate) address: String,
    pub(crate) channel: Channel,
    pub(crate) clients: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Makes the names of conversations new.
    pub(crate) run: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) turns: u64,
    /// Turns of the warming up, too.
    pub(crate) all_turns: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) errors: u64,
    pub(crate) wrong: u64,
    /// The first thing that went wrong, in its own words.
    pub(crate) first_fault: Option<String>,
}

impl Figures {
    pub(crate) fn turns_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.turns as f64 / self.seconds } else { 0.0 }
    }
}

/// A client begins a new conversation after so many turns.
const TURNS_OF_A_CONVERSATION: usize = 10;
/// A client that waits longer has met an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the clients.
pub(crate) async fn run(load: Load) -> Result<Figures> {
    let mut clients = JoinSet::new();
    let mut connections = Vec::with_capacity(load.clients);
    for number in 0..load.clients {
        connections.push(Connection::open(&load.address, load.channel, &format!("{}-{number}", load.run)).await?);
    }
    let begin = Instant::now();
    let from = begin + load.warm_up;
    let until = from + load.measured;
    for (number, connection) in connections.into_iter().enumerate() {
        clients.spawn(talk(connection, load.run.clone(), number, from, until));
    }
    let mut tally = Tally::default();
    while let Some(part) = clients.join_next().await {
        tally.add(part?);
    }
    Ok(tally.figures(load.measured))
}

/// What one client saw within the measured time.
#[derive(Default)]
struct Tally {
    turns: u64,
    times_us: Vec<u64>,
    errors: u64,
    wrong: u64,
    first_fault: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.turns += other.turns;
        self.times_us.extend(other.times_us);
        self.errors += other.errors;
        self.wrong += other.wrong;
        if self.first_fault.is_none() {
            self.first_fault = other.first_fault;
        }
    }

    fn figures(mut self, measured: Duration) -> Figures {
        self.times_us.sort_unstable();
        Figures {
            turns: self.times_us.len() as u64,
            all_turns: self.turns,
            seconds: measured.as_secs_f64(),
            p50_us: percentile(&self.times_us, 50),
            p95_us: percentile(&self.times_us, 95),
            p99_us: percentile(&self.times_us, 99),
            errors: self.errors,
            wrong: self.wrong,
            first_fault: self.first_fault,
        }
    }
}

/// The value that so many of a hundred do not exceed; 0 where there are none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

async fn talk(mut connection: Connection, run: String, client: usize, from: Instant, until: Instant) -> Tally {
    let mut tally = Tally::default();
    for turn in 0.. {
        if Instant::now() >= until {
            break;
        }
        let conversation = format!("{run}-{client}-{}", turn / TURNS_OF_A_CONVERSATION);
        let tag = format!("{client}-{turn}");
        let answered = tokio::time::timeout(PATIENCE, connection.turn(&conversation, &format!("hello #{tag}"))).await;
        let (took, reply) = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tally.errors += 1;
                tally.first_fault.get_or_insert(format!("{error:#}"));
                break;
            }
            Err(_) => {
                tally.errors += 1;
                tally.first_fault.get_or_insert("no reply in time".to_owned());
                break;
            }
        };
        if !reply.contains(&format!("\"It is #{tag}.\"")) {
            tally.wrong += 1;
            tally.first_fault.get_or_insert(format!("to #{tag}: {reply}"));
        }
        tally.turns += 1;
        let now = Instant::now();
        if now >= from && now < until {
            tally.times_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }
    tally
}

/// One client's way to the server.
pub(crate) enum Connection {
    Http(HttpClient),
    WebSocket { socket: Box<Socket>, joined: String },
    SocketIo { socket: Box<SocketIo>, joined: String },
}

impl Connection {
    pub(crate) async fn open(address: &str, channel: Channel, sender: &str) -> Result<Self> {
        Ok(match channel {
            Channel::Http => Self::Http(HttpClient::connect(address).await?),
            Channel::WebSocket => Self::WebSocket { socket: Box::new(Socket::connect(address, sender).await?), joined: String::new() },
            Channel::SocketIo => Self::SocketIo { socket: Box::new(SocketIo::connect(address, sender).await?), joined: String::new() },
        })
    }

    /// Goes to a conversation, where the channel has rooms.
    pub(crate) async fn enter(&mut self, conversation: &str) -> Result<()> {
        match self {
            Self::Http(_) => {}
            Self::WebSocket { joined, .. } | Self::SocketIo { joined, .. } if joined == conversation => {}
            Self::WebSocket { socket, joined } => {
                if !joined.is_empty() {
                    socket.leave(joined).await?;
                }
                socket.join(conversation).await?;
                conversation.clone_into(joined);
            }
            Self::SocketIo { socket, joined } => {
                if !joined.is_empty() {
                    socket.leave(joined).await?;
                }
                socket.join(conversation).await?;
                conversation.clone_into(joined);
            }
        }
        Ok(())
    }

    /// One turn: how long it took, and the raw JSON with the reply.
    pub(crate) async fn turn(&mut self, conversation: &str, text: &str) -> Result<(Duration, String)> {
        self.enter(conversation).await?;
        match self {
            Self::Http(client) => {
                let begin = Instant::now();
                let (status, page) = client.say(conversation, text).await?;
                if status != 200 {
                    bail!("HTTP status {status}: {page}");
                }
                Ok((begin.elapsed(), page))
            }
            Self::WebSocket { socket, .. } => {
                let begin = Instant::now();
                let frame = socket.say(conversation, text).await?;
                Ok((begin.elapsed(), frame))
            }
            Self::SocketIo { socket, .. } => {
                let begin = Instant::now();
                let event = socket.say(conversation, text).await?;
                Ok((begin.elapsed(), event))
            }
        }
    }
}
