//! `cota key`: API keys for backends.

use std::sync::Arc;

use cota_core::ids::Timestamp;
use cota_driver::ledger::Ledger;
use cota_driver::ports::Clock as _;
use cota_gateway::Scopes;
use cota_gateway::identity::keys::{self, ApiKey, Issued};
use cota_protocol::time::iso8601;
use cota_store_sqlite::Durability;
use serde_json::{Value as Json, json};

use super::Command;
use crate::arguments::{Arguments, Takes};
use crate::failure::Failure;
use crate::native::{StorePlace, SystemChance, TokioClock, unique_holder};
use crate::output::{FORMATS, Format, print_json, print_line, tell};
use crate::talk;

pub(super) const COMMAND: Command = Command {
    name: "key",
    summary: "make, list, revoke and export API keys",
    help: "\
Usage: cota key create [--name NAME] [--scopes SCOPES] [--days N] [--store STORE] [--format text|json]
       cota key list [--store STORE] [--format text|json]
       cota key revoke ID [--store STORE]
       cota key export [--store STORE]

API keys are for backends: with one a caller speaks for its own users, whom it names with `sender_id`. A new key is
printed once and kept only as a hash. As soon as there is a key, a server identifies its callers; one that runs without
notices within a few seconds.

A Cloudflare Worker takes its keys from a secret: `cota key export` prints all of them with their hashes, on one line, for
`wrangler secret put COTA_API_KEYS`. After a key is made or revoked, that is done again.

  --name NAME         what the key is for
  --scopes SCOPES     what it allows, with commas: chat (talk), inspect (see thoughts, policies and LLM calls), operator
                      (act on tasks, start rehearsals) (default: chat)
  --days N            how long it holds (default: until it is revoked)
  --store STORE       the server's store: sqlite:PATH, upstash:URL or dynamodb:TABLE (default: sqlite:.cota/cota.db)
  --format text|json  how to tell it (default: text)
",
    takes: Takes { options: &["name", "scopes", "days", "store", "format"], switches: &[], words: 2 },
    run,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let format = arguments.choice("format", &FORMATS, Format::Text)?;
    let words: Vec<&str> = arguments.words().iter().map(String::as_str).collect();
    match words.as_slice() {
        ["create"] => create(arguments, format),
        ["list"] => list(arguments, format),
        ["export"] => export(arguments),
        ["revoke", id] => revoke(arguments, id),
        ["revoke"] => Err(Failure::usage("name the key to revoke: its id, as `cota key list` shows it")),
        _ => Err(Failure::usage("say what to do: cota key create, cota key list, cota key revoke ID, or cota key export")),
    }
}

fn create(arguments: &Arguments, format: Format) -> Result<(), Failure> {
    let now = TokioClock::new().now();
    let scopes = scopes(arguments.option("scopes").unwrap_or("chat"))?;
    let days: Option<u64> = arguments.parsed("days", "a whole number of days")?;
    let expires_at = days.map(|days| now.plus_ms(days.saturating_mul(DAY_MS)));
    let ledger = ledger(arguments)?;
    let made = keys::create(ledger.as_ref(), &SystemChance, arguments.option("name").unwrap_or_default(), scopes, now, expires_at);
    let Issued { key, text } = talk::runtime()?.block_on(made).map_err(|error| Failure::service(error.to_string()))?;
    match format {
        Format::Json => {
            let mut json = json(&key);
            if let Some(members) = json.as_object_mut() {
                members.insert("key".to_owned(), text.into());
            }
            print_json(&json)
        }
        Format::Text => {
            print_line(&text)?;
            tell(format_args!("This is the only time that the key is shown. `cota key revoke {}` ends it.", key.id));
            Ok(())
        }
    }
}

fn list(arguments: &Arguments, format: Format) -> Result<(), Failure> {
    let listed = listed(arguments)?;
    match format {
        Format::Json => print_json(&listed.iter().map(json).collect::<Vec<_>>()),
        Format::Text => listed.iter().try_for_each(|key| {
            let end = key.expires_at.map_or_else(|| "holds until it is revoked".to_owned(), |end| format!("holds until {}", iso8601(end)));
            let (made, scopes) = (iso8601(key.created_at), key.scopes.names().join(","));
            print_line(format_args!("{}  {scopes}  made {made}, {end}  {}", key.id, key.name).to_string().trim_end())
        }),
    }
}

/// Prints what a deployment is given that cannot be reached.
fn export(arguments: &Arguments) -> Result<(), Failure> {
    let listed = listed(arguments)?;
    print_json(&listed)?;
    tell(format_args!("These are {} keys, with their hashes alone: give the line to `wrangler secret put COTA_API_KEYS`.", listed.len()));
    Ok(())
}

fn listed(arguments: &Arguments) -> Result<Vec<ApiKey>, Failure> {
    let ledger = ledger(arguments)?;
    let listed = talk::runtime()?.block_on(keys::list(ledger.as_ref(), TokioClock::new().now()));
    listed.map_err(|error| Failure::service(error.to_string()))
}

fn revoke(arguments: &Arguments, id: &str) -> Result<(), Failure> {
    let ledger = ledger(arguments)?;
    let revoked = talk::runtime()?.block_on(keys::revoke(ledger.as_ref(), id, TokioClock::new().now()));
    match revoked.map_err(|error| Failure::service(error.to_string()))? {
        Some(_) => {
            tell(format_args!("The key {id} is revoked; a running server notices within a few seconds."));
            Ok(())
        }
        None => Err(Failure::input(format!("there is no key `{id}`; `cota key list` shows the ones there are"))),
    }
}

/// What is told of a key: neither the key nor its hash.
fn json(key: &ApiKey) -> Json {
    let time = |at: Timestamp| iso8601(at);
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes.names(),
        "created_at": time(key.created_at),
        "expires_at": key.expires_at.map(time),
    })
}

fn scopes(text: &str) -> Result<Scopes, Failure> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    match names.iter().find(|name| !Scopes::NAMES.contains(name)) {
        Some(unknown) => Err(Failure::usage(format!("`{unknown}` is no scope: there are {}", Scopes::NAMES.join(", ")))),
        None => Ok(Scopes::named(names)),
    }
}

fn ledger(arguments: &Arguments) -> Result<Arc<dyn Ledger>, Failure> {
    let place = arguments.store()?.unwrap_or_default();
    if place == StorePlace::Memory {
        return Err(Failure::usage(
            "keys in memory are gone with this command; name the server's database with --store sqlite:PATH, upstash:URL or dynamodb:TABLE",
        ));
    }
    Ok(place.open(Durability::Full, &unique_holder()).map_err(|error| Failure::service(error.to_string()))?.ledger)
}
