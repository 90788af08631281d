//! The same conversations on every target, over HTTP and over WebSockets: the tests of the bots in [`BOTS`] pass, and the record of
//! what is said is the same byte for byte, apart from its times. Ids are the same as well: they come from the conversation and its
//! messages.
//!
//! A target is one line in [`TARGETS`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails where it stands")]

mod record;

use std::any::Any;
use std::process::Command;

use cota_testkit::proofs::{self, Address, Server};
use cota_testkit::services::upstash::Upstash;
use cota_testkit::targets::example;
use cota_testkit::targets::lambda::{self, Bundles, Deployment, Plan};
use cota_testkit::targets::laptop::{Cota, Store};
use cota_testkit::targets::workerd::{self, Workerd};

/// The example bots that every target serves together; the first is the default one.
const BOTS: [&str; 4] = ["weather", "weather-zh", "helpdesk", "clinic"];

/// Where no model is: the bots have one of their own.
const NO_MODEL: &str = "http://127.0.0.1:1/v1";

/// Somewhere to serve bots.
struct Target {
    name: &'static str,
    start: fn() -> Running,
}

const TARGETS: [Target; 6] = [
    Target { name: "cota run, in memory", start: || local(&Store::Memory, ()) },
    Target { name: "cota run, SQLite", start: sqlite },
    Target { name: "cota run, Upstash Redis", start: upstash },
    Target { name: "cota run, DynamoDB", start: || local(&Store::DynamoDb("targets".to_owned()), ()) },
    Target { name: "AWS Lambda", start: functions },
    Target { name: "Cloudflare Workers", start: workers },
];

/// A target that serves the bots until it is dropped.
struct Running {
    address: Address,
    /// What serves, and what that needs, in the order of their ends.
    _parts: (Box<dyn Any>, Box<dyn Any>),
}

fn local(store: &Store, needs: impl Any) -> Running {
    let bots = BOTS.map(|bot| example(bot).display().to_string());
    let cota = Cota::start(&bots.each_ref().map(String::as_str), store, NO_MODEL);
    Running { address: Address { http: cota.address.clone(), sockets: cota.address.clone() }, _parts: (Box::new(cota), Box::new(needs)) }
}

fn sqlite() -> Running {
    let folder = tempfile::tempdir().unwrap();
    local(&Store::Sqlite(folder.path().join("cota.db")), folder)
}

fn upstash() -> Running {
    let upstash = Upstash::start();
    local(&Store::Upstash(upstash.url()), upstash)
}

fn functions() -> Running {
    lambda::build_once();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let deployment = runtime.block_on(Deployment::start(Bundles::of_examples(&BOTS), Plan::default()));
    Running { address: Server::address(&deployment), _parts: (Box::new(deployment), Box::new(runtime)) }
}

fn workers() -> Running {
    workerd::build_once();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let workerd = runtime.block_on(Workerd::start(BOTS[0], NO_MODEL));
    Running { address: Server::address(&workerd), _parts: (Box::new(workerd), Box::new(())) }
}

#[test]
fn the_bots_tests_pass_and_their_conversations_are_the_same_on_every_target() {
    let mut first: Option<(&str, record::Records)> = None;
    for Target { name, start } in &TARGETS {
        let running = start();
        for bot in BOTS {
            passes_its_tests(name, bot, &running.address.http);
        }
        let mut records = record::Records::new();
        proofs::run(async {
            for bot in BOTS {
                records.extend(record::all(&running.address, bot, &example(bot)).await);
            }
        });
        assert!(records.len() > BOTS.len(), "{name}: {} conversations", records.len());
        println!("{name}: {} conversations", records.len());
        match &first {
            None => first = Some((name, records)),
            Some((other, expected)) => record::assert_same((other, expected), (name, &records)),
        }
    }
}

/// Runs the bot's own tests against a target.
fn passes_its_tests(target: &str, bot: &str, address: &str) {
    let mut test = Command::new(env!("CARGO_BIN_EXE_cota"));
    let output = test.arg("test").arg(example(bot)).args(["--target", &format!("http://{address}")]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(", 0 failed"), "{target}: {bot}\n{said}");
}
