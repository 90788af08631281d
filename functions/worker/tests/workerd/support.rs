//! What the tests share: a workerd that runs the Worker, a scripted model, clients.

use std::future::Future;

use cota_core::ids::Timestamp;
use cota_driver::ledger::MemoryLedger;
use cota_gateway::Scopes;
use cota_gateway::identity::keys::{self, Issued};
use cota_gateway::identity::{Chance, NoChance};

pub(crate) use cota_testkit::client::socketio::SocketIo;
pub(crate) use cota_testkit::client::{Record, Socket, http};
pub(crate) use cota_testkit::proofs::model;
pub(crate) use cota_testkit::seeds::scatter;
pub(crate) use cota_testkit::targets::workerd::{Namespace, Workerd};

/// Where no model is.
pub(crate) const NO_MODEL: &str = "http://127.0.0.1:9/v1";

/// Runs a test under a limit that only a hang reaches.
pub(crate) fn run(test: impl Future<Output = ()>) {
    cota_testkit::targets::workerd::build_once();
    cota_testkit::proofs::run(test);
}

/// Tries a case inside workerd: the Worker keeps the rule that the path names.
pub(crate) async fn keeps(workerd: &Workerd, path: &str) {
    let tried = http::get(&workerd.address, path).await.unwrap();
    assert_eq!(tried.status, 200, "{path}: {}", workerd.logged());
}

/// A key for backends, made of a byte.
pub(crate) async fn issue(byte: u8, scopes: Scopes, expires_at: Option<Timestamp>) -> Issued {
    keys::create(&MemoryLedger::default(), &Always(byte), "shop", scopes, Timestamp(1), expires_at).await.ok().unwrap()
}

/// Bytes that everybody can guess.
struct Always(u8);

impl Chance for Always {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        bytes.fill(self.0);
        Ok(())
    }
}
