//! The bots and tasks of the deployment: those that were built in, and what is published of the bots in Workers KV.

mod bundled;
mod published;

use std::sync::{Arc, OnceLock};

use worker::Env;
use worker::send::{SendFuture, SendWrapper};

use cota_driver::ports::Clock as _;
use cota_driver::task::Company;
use cota_publish::{PublishedBots, Reading};

use crate::platform::PlatformClock;
use crate::settings::setting;
use bundled::BuiltIn;

/// How often an isolate looks for newer versions at most, in milliseconds.
const LOOK_MS: u64 = 5_000;

/// What this isolate serves.
struct Served {
    published: Arc<PublishedBots>,
    company: Arc<Company>,
}

/// The bots and tasks of this isolate, loaded on first use, the bots as they are published by now. Variables of their files are
/// those of the Worker.
pub(crate) async fn current(env: &Env) -> Arc<Company> {
    let Served { published, company } = served(env);
    SendFuture::new(published.look(PlatformClock.now())).await;
    Arc::clone(company)
}

/// The bots and tasks as this isolate has them.
pub(crate) fn known(env: &Env) -> Arc<Company> {
    Arc::clone(&served(env).company)
}

fn served(env: &Env) -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| open(env))
}

fn open(env: &Env) -> Served {
    let BuiltIn { mut bots, tasks } = bundled::load(env);
    let default = setting(env, "COTA_DEFAULT_BOT");
    if let Some(place) = default.and_then(|name| bots.iter().position(|bot| bot.name.as_str() == name)) {
        let bot = bots.remove(place);
        bots.insert(0, bot);
    }
    let variables = SendWrapper(env.clone());
    let load = move |bundle| bundled::read(bundle, &variables);
    let reading = Reading { source: published::source(env), load: Box::new(load), every_ms: LOOK_MS };
    let published = Arc::new(PublishedBots::new(reading, bots));
    let company = Arc::new(Company::new(Arc::clone(&published) as _, tasks));
    Served { published, company }
}
