//! `cota trace`: why a bot did what it did.

use std::path::Path;

use cota_core::event::Event;
use cota_core::ids::{BotName, ConversationKey, Seq};
use cota_driver::ports::Bots as _;
use cota_driver::store::Store;
use cota_store_sqlite::Durability;
use serde::Serialize;

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::explain::{self, Turn};
use crate::failure::Failure;
use crate::native::{StorePlace, unique_holder};
use crate::output::{FORMATS, Format, Paint, print_json, print_line};
use crate::{bots, talk};

pub(super) const COMMAND: Command = Command {
    name: "trace",
    summary: "tell why a bot did what it did in a conversation",
    help: "\
Usage: cota trace CONVERSATION [--bot NAME] [--owner ID] [--store STORE] [--format text|json]

Tells for each turn of a conversation what was done, what chose it (a rule, Selector, a missing slot), what was thought,
which examples were shown to the LLM, and what each LLM call took.

  --bot NAME          the bot's name (default: that of the bot in the working directory)
  --owner ID          whose conversation it is (default: public)
  --store STORE       where it is kept: sqlite:PATH, upstash:URL or dynamodb:TABLE (default: sqlite:.cota/cota.db)
  --format text|json  how to tell it (default: text)
",
    takes: Takes { options: &["bot", "owner", "store", "format"], switches: &[], words: 1 },
    run,
};

/// Events read at a time.
const PAGE: usize = 256;

/// What is told as JSON.
#[derive(Serialize)]
struct Report<'r> {
    conversation: &'r ConversationKey,
    turns: &'r [Turn],
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let format = arguments.choice("format", &FORMATS, Format::Text)?;
    let id = arguments.words().first().ok_or_else(|| Failure::usage("name the conversation"))?;
    let bot = match arguments.option("bot") {
        Some(name) => BotName::new(name).map_err(|error| Failure::usage(format!("--bot: {error}")))?,
        None => bot_here()?,
    };
    let key = talk::key(&bot, arguments.option("owner"), id).map_err(|error| Failure::usage(error.to_string()))?;
    let place = arguments.store()?.unwrap_or_default();
    if let StorePlace::Sqlite(path) = &place {
        check_is_there(path)?;
    }
    let store = place.open(Durability::Normal, &unique_holder()).map_err(|error| Failure::service(error.to_string()))?.conversations;
    let events = talk::runtime()?.block_on(read(store.as_ref(), &key))?;
    if events.is_empty() {
        return Err(Failure::input(format!("{place} has no conversation `{id}` of the bot `{bot}` and the owner `{}`", key.owner)));
    }
    let turns = explain::turns(&events);
    match format {
        Format::Json => print_json(&Report { conversation: &key, turns: &turns }),
        Format::Text => turns.iter().try_for_each(|turn| print_line(turn.text(Paint::for_stdout()))),
    }
}

/// Opening a database would make it; a wrong path is to be told instead.
fn check_is_there(path: &Path) -> Result<(), Failure> {
    if path.is_file() {
        return Ok(());
    }
    Err(Failure::input(format!("there is no database at {}; name the one that `cota run` uses with --store sqlite:PATH", path.display())))
}

fn bot_here() -> Result<BotName, Failure> {
    let here =
        bots::find_one(Path::new(".")).map_err(|_| Failure::usage("name the bot with --bot: there is not one in the working directory"))?;
    let (folders, _) = bots::open(vec![here], bots::tell_diagnostics)?;
    folders.names().into_iter().next().ok_or_else(|| Failure::usage("name the bot with --bot"))
}

async fn read(store: &dyn Store, key: &ConversationKey) -> Result<Vec<Event>, Failure> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(Seq::default(), |event| event.seq);
        let page = store.events(key, after, PAGE).await.map_err(|error| Failure::service(error.to_string()))?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}
