//! The Lambda functions, deployed: the programs, their table, their queue, both ways in, between the doubles of [`crate::lambda`].

mod bundles;
mod programs;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cota_native::LazyHttp;
use cota_store_dynamodb::aws_sdk_dynamodb::Client;
use cota_store_dynamodb::create_table;
use serde_json::Value as Json;

use crate::client::http;
use crate::lambda::{Function, FunctionUrl, InvokeApi, Mischief, Poller, Queue, Settings, WebSocketApi};
use crate::proofs::{Address, Server};
use crate::services::dynamodb::{self, DynamoDb};
use crate::services::moto::Moto;

pub use bundles::Bundles;
pub use programs::{build_once, cota, program};

/// When somebody who was not heard says it again.
const AGAIN: Duration = Duration::from_millis(200);

/// How often a doorbell is received in vain before it is given up, as the template says.
const ATTEMPTS: u32 = 5;

/// How a deployment differs from the usual one.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is done to doorbells.
    pub mischief: Mischief,
    /// How long one invocation may last.
    pub timeout: Duration,
    /// How long a doorbell that was received in vain stays hidden.
    pub visibility: Duration,
    /// How many invocations of a function there may be at once.
    pub concurrency: usize,
    /// More environment variables.
    pub variables: Vec<(&'static str, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        let (timeout, visibility) = (Duration::from_secs(60), Duration::from_secs(5));
        Self { mischief: Mischief::default(), timeout, visibility, concurrency: 32, variables: Vec::new() }
    }
}

/// A deployment of these bots, gone when it is dropped.
pub struct Deployment {
    /// Answers HTTP.
    pub api: Function,
    /// Hears doorbells.
    pub turn: Function,
    /// Is called by the state machine of tasks.
    pub task: Function,
    /// What the state machine of tasks calls functions by.
    pub invoking: InvokeApi,
    /// Takes the events of the WebSocket API.
    pub socket: Function,
    /// The way in over HTTP.
    pub url: FunctionUrl,
    /// The way in over WebSockets.
    pub sockets: WebSocketApi,
    /// Where doorbells wait.
    pub queue: Queue,
    /// Where they end up that were heard in vain.
    pub dead: Queue,
    /// The table, which has everything.
    pub table: String,
    /// Whatever else of AWS there is.
    pub aws: Moto,
    _poller: Poller,
    _bundles: Bundles,
}

impl Deployment {
    /// Makes the table and the queues, and both ways in. No function has a process before it is invoked.
    pub async fn start(bundles: Bundles, plan: Plan) -> Self {
        let invoking = InvokeApi::start().await;
        let moto = Moto::start_with_states(invoking.port());
        let machine = moto.create_state_machine("tasks", &definition());
        let aws = moto.url().trim_start_matches("http://").to_owned();
        let dead = Queue::create(&aws, "dead", Duration::from_secs(1), None).await;
        let queue = Queue::create(&aws, "doorbell", plan.visibility, Some((&dead, ATTEMPTS))).await;
        let database = dynamodb::shared();
        let table = format!("functions-{}", aws.replace([':', '.'], "-"));
        make_table(database, &table).await;
        let sockets = WebSocketApi::start().await;
        let function = |name: &str| {
            let mut settings = Settings { timeout: plan.timeout, concurrency: plan.concurrency, ..Settings::new(name, program(name)) };
            for (name, value) in database.environment() {
                settings = settings.with(name, value);
            }
            settings = settings
                .with("AWS_REGION", "us-east-1")
                .with("AWS_ENDPOINT_URL_SQS", moto.url())
                .with("COTA_STORE", format!("dynamodb:{table}"))
                .with("COTA_QUEUE_URL", queue.url())
                .with("COTA_CONNECTIONS_URL", sockets.management())
                .with("AWS_ENDPOINT_URL_SFN", moto.url())
                .with("COTA_STATE_MACHINE", machine.clone())
                .with("COTA_TURN_SECONDS", plan.timeout.as_secs_f64().to_string())
                .with("COTA_INSECURE_NO_IDENTITY", "true")
                .with("COTA_BUNDLES", bundles.folder());
            for (name, value) in &plan.variables {
                settings = settings.with(name, value.clone());
            }
            Function::new(settings)
        };
        let (api, turn, socket, task) = (function("api"), function("turn"), function("websocket"), function("task"));
        invoking.serve(task.clone());
        sockets.serve(socket.clone());
        let url = FunctionUrl::start(api.clone()).await;
        let poller = Poller::start(queue.clone(), turn.clone(), plan.mischief);
        Self { api, turn, task, invoking, socket, url, sockets, queue, dead, table, aws: moto, _poller: poller, _bundles: bundles }
    }

    /// Where HTTP requests go.
    #[must_use]
    pub fn address(&self) -> String {
        self.url.address()
    }

    /// Says something over HTTP.
    pub async fn say(&self, conversation: &str, body: &Json) -> http::Response {
        http::say(&self.address(), conversation, body).await
    }

    /// Says something over HTTP until it is accepted: again where a function died or the store had too much to do.
    pub async fn insist(&self, conversation: &str, body: &Json) {
        while self.say(conversation, body).await.status >= 500 {
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The functions that conversations take.
    #[must_use]
    pub fn functions(&self) -> [&Function; 3] {
        [&self.api, &self.turn, &self.socket]
    }
}

impl Server for Deployment {
    const ORDERED: bool = false;

    fn address(&self) -> Address {
        Address { http: self.url.address(), sockets: self.sockets.address() }
    }

    /// The next invocations find new processes, which know only what the table keeps.
    async fn restart(&mut self) {
        self.functions().iter().for_each(|function| function.kill());
    }

    fn logged(&self) -> String {
        self.functions().map(Function::logged).concat()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for function in self.functions().into_iter().chain([&self.task]) {
                eprintln!("a function logged:\n{}", function.logged());
            }
        }
    }
}

/// The states of infra/, with what template.yaml puts in.
fn definition() -> String {
    let text = fs::read_to_string(super::root().join("infra/task.asl.json")).unwrap();
    text.replace("${Partition}", "aws").replace("${TaskFunction}", "task")
}

/// Makes a table for the functions.
///
/// # Panics
/// If DynamoDB Local does not make it.
pub async fn make_table(database: &DynamoDb, name: &str) {
    let environment = database.environment();
    let found = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let config = cota_store_dynamodb::config(found, Arc::<LazyHttp>::default()).unwrap();
    create_table(&Client::from_conf(config.build()), name).await.unwrap();
}
