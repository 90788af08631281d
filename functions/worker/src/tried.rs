//! What only the Worker's own tests ask of it: the rules of the store and of the ledger, tried inside workerd.

#![expect(missing_docs, reason = "the platform's macro documents nothing of what it makes")]

use std::sync::Arc;

use axum::body::Body;
use cota_testkit::conformance::{self, ledger};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use crate::ledger::RemoteLedger;
use crate::store::ObjectStore;

/// Where a case is tried: `/tried/store/NAME` or `/tried/ledger/NAME`.
pub(crate) const PATH: &str = "/tried/";
/// The binding of the objects that try the store.
const BINDING: &str = "TRIED";

/// Tries the rules of the store on its own database, one case in one object.
#[durable_object(fetch)]
pub struct TriedObject {
    state: State,
}

impl DurableObject for TriedObject {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let name = request.path().trim_start_matches('/').to_owned();
        let store = ObjectStore::shared(self.state.storage()).map_err(|fault| worker::Error::RustError(fault.to_string()))?;
        match conformance::cases().into_iter().find(|case| case.name == name) {
            Some(case) => {
                case.run(Arc::new(store)).await;
                Response::ok("kept")
            }
            None => Response::error("no such case", 404),
        }
    }
}

/// Tries the case that a path names; a rule that is broken ends the isolate, which the log tells.
pub(crate) async fn run(env: &Env, path: &str) -> worker::Result<http::Response<Body>> {
    let status = match path.trim_start_matches(PATH).split_once('/') {
        Some(("store", name)) => {
            let object = env.durable_object(BINDING)?.get_by_name(name)?;
            object.fetch_with_str(&format!("https://object/{name}")).await?.status_code()
        }
        Some(("ledger", name)) => match ledger::cases().into_iter().find(|case| case.name == name) {
            Some(case) => {
                case.run(Arc::new(RemoteLedger::named(env, name)?)).await;
                200
            }
            None => 404,
        },
        Some(_) | None => 404,
    };
    http::Response::builder().status(status).body(Body::empty()).map_err(worker::Error::from)
}
