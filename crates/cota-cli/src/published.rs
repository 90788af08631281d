//! Bots that are served as `cota push` publishes them.

use std::sync::Arc;
use std::time::Duration;

use cota_config::Options;
use cota_core::bot::Bot;
use cota_driver::ports::Clock as _;
use cota_effects::StandardEffects;
use cota_publish::{Built, Place, PublishedBots, Reading};

use crate::failure::Failure;
use crate::native::{TokioClock, open_place};

/// How often a place is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The bots of the folders until there are published versions of them. Each new one is got ready before anybody talks to it.
pub(crate) async fn open(place: &Place, folders: Vec<Arc<Bot>>, effects: Arc<StandardEffects>) -> Result<Arc<PublishedBots>, Failure> {
    let environment = std::env::var("COTA_ENV").ok().filter(|name| !name.is_empty());
    let load = move |bundle| {
        let options = Options { environment: environment.as_deref(), ..Options::new("") };
        let loaded = cota_config::load_bundle(bundle, &|name| std::env::var(name).ok(), &options);
        loaded.bot.iter().for_each(|bot| effects.warm(bot));
        loaded
    };
    let built = folders.into_iter().map(|bot| Built { name: bot.source().name.clone(), bot: Some(bot) }).collect();
    let reading = Reading { source: open_place(place)?, load: Box::new(load), every_ms: 0 };
    let bots = Arc::new(PublishedBots::new(reading, built));
    bots.look(TokioClock::new().now()).await;
    Ok(bots)
}

/// Takes new versions as they are published.
pub(crate) async fn keep_fresh(bots: Arc<PublishedBots>) {
    let clock = TokioClock::new();
    loop {
        tokio::time::sleep(LOOK).await;
        bots.look(clock.now()).await;
    }
}
