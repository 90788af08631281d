//! Bots that are served as `cota push` publishes them.
//!
//! Nothing runs between two invocations, so each looks when it begins, unless its environment has looked just now.

use std::sync::Arc;

use cota_driver::http::HttpSend;
use cota_driver::ports::Clock;
use cota_publish::aws::{Aws, AwsError};
use cota_publish::dynamodb::Dynamodb;
use cota_publish::s3::S3;
use cota_publish::{Built, BundleSource, PublishedBots, Reading};

use crate::bundles::{Bundles, Reader};
use crate::failure::Failure;
use crate::settings::BotPlace;

/// How much time passes between two looks of an environment at least, in milliseconds.
const LOOK_MS: u64 = 5_000;

/// The bots of a deployment until there are published versions of them.
///
/// # Errors
/// When the place cannot be read with what the variables say.
pub(crate) fn open(
    place: &BotPlace,
    bundles: &Bundles,
    reader: Reader,
    http: &Arc<dyn HttpSend>,
    clock: &Arc<dyn Clock>,
) -> Result<PublishedBots, Failure> {
    let source = source(place, &reader, http, clock).map_err(|error| Failure::Settings(format!("COTA_PUBLISHED: {error}")))?;
    let load = move |bundle| {
        let loaded = reader.read(bundle);
        for diagnostic in loaded.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()) {
            tracing::error!(file = diagnostic.file, "{}", diagnostic.message);
        }
        loaded
    };
    let built = bundles.all().map(|bot| Built { name: bot.source().name.clone(), bot: Some(Arc::clone(bot)) }).collect();
    Ok(PublishedBots::new(Reading { source, load: Box::new(load), every_ms: LOOK_MS }, built))
}

fn source(place: &BotPlace, reader: &Reader, http: &Arc<dyn HttpSend>, clock: &Arc<dyn Clock>) -> Result<Arc<dyn BundleSource>, AwsError> {
    let (aws, http, clock) = (Aws::of(&|name| reader.environment.get(name))?, Arc::clone(http), Arc::clone(clock));
    Ok(match place {
        BotPlace::S3(bucket) => Arc::new(S3::new(bucket, aws, http, clock)?),
        BotPlace::DynamoDb(table) => Arc::new(Dynamodb::new(table, aws, http, clock)?),
    })
}
