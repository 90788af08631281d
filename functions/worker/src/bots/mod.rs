//! The bots of the deployment: those that were built in, and what is published of them in Workers KV.

mod bundled;
mod published;

use std::sync::{Arc, OnceLock};

use worker::Env;
use worker::send::{SendFuture, SendWrapper};

use cota_driver::ports::Clock as _;
use cota_publish::{Built, PublishedBots, Reading};

use crate::platform::PlatformClock;
use crate::settings::setting;

/// How often an isolate looks for newer versions at most, in milliseconds.
const LOOK_MS: u64 = 5_000;

/// The bots of this isolate, loaded on first use, and as they are published by now. Variables of their files are those of the
/// Worker.
pub(crate) async fn current(env: &Env) -> Arc<PublishedBots> {
    let bots = known(env);
    SendFuture::new(bots.look(PlatformClock.now())).await;
    bots
}

/// The bots as this isolate has them.
pub(crate) fn known(env: &Env) -> Arc<PublishedBots> {
    static BOTS: OnceLock<Arc<PublishedBots>> = OnceLock::new();
    Arc::clone(BOTS.get_or_init(|| Arc::new(open(env))))
}

fn open(env: &Env) -> PublishedBots {
    let mut built: Vec<Built> = bundled::load(env);
    if let Some(name) = setting(env, "COTA_DEFAULT_BOT") {
        // A stable sort keeps the others in the order of the build.
        built.sort_by_key(|bot| bot.name.as_str() != name);
    }
    let variables = SendWrapper(env.clone());
    let load = move |bundle| bundled::read(bundle, &variables);
    PublishedBots::new(Reading { source: published::source(env), load: Box::new(load), every_ms: LOOK_MS }, built)
}
