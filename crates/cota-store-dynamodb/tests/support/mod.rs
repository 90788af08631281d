//! A table of its own for each test, in the one DynamoDB Local of this process.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "what a test does not expect fails it"
)]

pub(crate) mod stage;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cota_native::LazyHttp;
use cota_store_dynamodb::aws_sdk_dynamodb::Client;
use cota_store_dynamodb::aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use cota_store_dynamodb::aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use cota_store_dynamodb::aws_sdk_dynamodb::config::{Builder, ConfigBag, Intercept, RuntimeComponents};
use cota_store_dynamodb::aws_sdk_dynamodb::error::BoxError;
use cota_store_dynamodb::{DynamoStore, Options, config, create_table};
use cota_testkit::services::dynamodb;

/// A guard against hangs.
const HANG: Duration = Duration::from_secs(120);

/// A client of DynamoDB Local.
pub(crate) fn client() -> Client {
    Client::from_conf(local().build())
}

fn local() -> Builder {
    let environment = dynamodb::shared().environment();
    let variable = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    // A busy machine may take long to answer; what a call times out after is not what is tested.
    let patient = TimeoutConfig::builder().operation_attempt_timeout(HANG).operation_timeout(HANG).build();
    config(variable, Arc::<LazyHttp>::default()).unwrap().timeout_config(patient)
}

/// A new table.
pub(crate) async fn table() -> String {
    static TABLES: AtomicU32 = AtomicU32::new(0);
    let name = format!("cota-{}", TABLES.fetch_add(1, Ordering::Relaxed));
    create_table(&client(), &name).await.unwrap();
    name
}

/// A store with nothing in it.
pub(crate) async fn store(sweeps: bool) -> DynamoStore {
    DynamoStore::new(client(), table().await, &Options { sweeps, ..Options::default() })
}

/// What a client asked for, by the name of the operation. A call that the SDK repeats, as on a machine too busy to answer in
/// time, is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<String>>>);

impl Wire {
    /// A client whose calls are seen here.
    pub(crate) fn client(&self) -> Client {
        Client::from_conf(local().interceptor(self.clone()).build())
    }

    /// What was sent since it was last asked.
    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        self.0.lock().unwrap().push(target.rsplit('.').next().unwrap_or_default().to_owned());
        Ok(())
    }
}
