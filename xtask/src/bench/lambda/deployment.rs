//! A whole deployment on this machine, with the functions as they are shipped.

use std::time::Duration;

use anyhow::{Context as _, Result};
use cota_testkit::lambda::{Function, FunctionUrl, Mischief, Poller, Queue, Settings, WebSocketApi};
use cota_testkit::llm_server::{self, LlmServer, scripts};
use cota_testkit::services::dynamodb;
use cota_testkit::services::moto::Moto;
use cota_testkit::targets::lambda::make_table;

use super::program;
use super::wire::Wire;

/// How long an invocation may last.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a doorbell stays hidden that nobody has finished with.
const VISIBILITY: Duration = Duration::from_secs(60);
/// The pieces of a model that speaks while others listen: so long, and so much time between two of them.
const PIECE: usize = 4;
const BETWEEN: Duration = Duration::from_millis(20);

/// The functions, their table, their queue, both ways in, and a model.
pub(super) struct Deployment {
    pub(super) api: Function,
    pub(super) turn: Function,
    pub(super) socket: Function,
    pub(super) url: FunctionUrl,
    pub(super) sockets: WebSocketApi,
    pub(super) poller: Poller,
    /// Where calls of DynamoDB are counted, if they are.
    pub(super) wire: Option<Wire>,
    /// The port of the database, and of the queue, and of the model.
    pub(super) hosts: [(&'static str, u16); 3],
    _llm: LlmServer,
    _moto: Moto,
}

/// Whether calls of DynamoDB are counted: it takes a little time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted;

pub(super) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

impl Deployment {
    /// Starts it; no function has a process before it is invoked, and each has one at a time.
    pub(super) async fn start(counted: Option<Counted>) -> Result<Self> {
        let llm = LlmServer::start(llm_server::Settings::new(scripts::chat()).pieces(PIECE, Duration::ZERO)).await?;
        Self::with(llm, counted).await
    }

    /// The same, with a model that takes its time over each piece.
    pub(super) async fn speaking(counted: Option<Counted>) -> Result<Self> {
        let llm = LlmServer::start(llm_server::Settings::new(scripts::chat()).pieces(PIECE, BETWEEN)).await?;
        Self::with(llm, counted).await
    }

    async fn with(llm: LlmServer, counted: Option<Counted>) -> Result<Self> {
        let moto = Moto::start();
        let aws = moto.url().trim_start_matches("http://").to_owned();
        let queue = Queue::create(&aws, "doorbell", VISIBILITY, None).await;
        let database = dynamodb::shared();
        let table = format!("bench-{}", aws.replace([':', '.'], "-"));
        make_table(database, &table).await;
        let wire = match counted {
            Some(Counted) => Some(Wire::start(&database.endpoint()).await?),
            None => None,
        };
        let endpoint = wire.as_ref().map_or_else(|| database.endpoint(), Wire::endpoint);
        let sockets = WebSocketApi::start().await;
        let function = |name: &str| {
            let mut settings = Settings { timeout: TIMEOUT, concurrency: 1, ..Settings::new(name, program(name)) };
            for (name, value) in database.environment() {
                settings = settings.with(name, value);
            }
            let settings = settings
                .with("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)
                .with("AWS_ENDPOINT_URL_SQS", moto.url())
                .with("AWS_REGION", Moto::REGION)
                .with("COTA_STORE", format!("dynamodb:{table}"))
                .with("COTA_QUEUE_URL", queue.url())
                .with("COTA_CONNECTIONS_URL", sockets.management())
                .with("COTA_TURN_SECONDS", TIMEOUT.as_secs().to_string())
                .with("COTA_INSECURE_NO_IDENTITY", "true")
                .with("COTA_BENCH_LLM", llm.apibase());
            Function::new(settings)
        };
        let (api, turn, socket) = (function("api"), function("turn"), function("websocket"));
        sockets.serve(socket.clone());
        let url = FunctionUrl::start(api.clone()).await;
        let poller = Poller::start(queue, turn.clone(), Mischief::default());
        let hosts = [("DynamoDB", port(&endpoint)?), ("the queue", port(&moto.url())?), ("the model", port(&llm.apibase())?)];
        Ok(Self { api, turn, socket, url, sockets, poller, wire, hosts, _llm: llm, _moto: moto })
    }

    /// Every function, with its name.
    pub(super) fn functions(&self) -> [(&'static str, &Function); 3] {
        [("api", &self.api), ("websocket", &self.socket), ("turn", &self.turn)]
    }
}

/// The port in an address such as `http://127.0.0.1:8000/v1`.
fn port(url: &str) -> Result<u16> {
    let digits: String = url.rsplit(':').next().unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("no port in {url}"))
}
