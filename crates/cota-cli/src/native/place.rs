use std::sync::Arc;

use cota_native::{LazyHttp, TokioClock};
use cota_publish::aws::Aws;
use cota_publish::dynamodb::Dynamodb;
use cota_publish::kv::Kv;
use cota_publish::s3::S3;
use cota_publish::{BundleSink, Place};

use crate::failure::Failure;

/// Opens a place for published bots, with what the variables of this process say.
pub(crate) fn open_place(place: &Place) -> Result<Arc<dyn BundleSink>, Failure> {
    let env = |name: &str| std::env::var(name).ok();
    let aws = || Aws::of(&env).map_err(|error| Failure::usage(error.to_string()));
    let (http, clock) = (Arc::<LazyHttp>::default(), Arc::new(TokioClock::new()));
    Ok(match place {
        Place::Kv(namespace) => Arc::new(Kv::new(namespace, &env, http, clock).map_err(|error| Failure::usage(error.to_string()))?),
        Place::S3(bucket) => Arc::new(S3::new(bucket, aws()?, http, clock).map_err(|error| Failure::usage(error.to_string()))?),
        Place::Dynamodb(table) => Arc::new(Dynamodb::new(table, aws()?, http, clock).map_err(|error| Failure::usage(error.to_string()))?),
    })
}
