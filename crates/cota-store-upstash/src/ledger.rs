//! The ledger: each record under a key of its own, which Redis forgets some time after its end; all names in a sorted set.

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cota_core::ids::Timestamp;
use cota_driver::ledger::{Ledger, Record};
use cota_driver::store::StoreError;
use serde_json::Value as Json;

use crate::UpstashStore;
use crate::fault::Fault;
use crate::reading::{decode, text};

const REPLACE: &str = include_str!("scripts/replace.lua");
const GET: &str = "return redis.call('GET', KEYS[1])";
const TAKE: &str = "
local record = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return record";
const NAMES: &str = "return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])";
const VALUES: &str = "return redis.call('MGET', unpack(KEYS))";

/// Records of one call.
const PAGE: usize = 500;
/// How much longer than its end Redis keeps a record: clocks differ, and the end is judged by the caller's.
const GRACE_MS: u64 = 60 * 60 * 1000;

#[async_trait]
impl Ledger for UpstashStore {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let found = self.api.eval(GET, &[self.keys.value(name)], &[""; 0]).await?;
        Ok(live(found, now)?)
    }

    async fn replace(&self, name: &str, expected: Option<&[u8]>, record: Record, now: Timestamp) -> Result<bool, StoreError> {
        let end = record.expires_at.map_or_else(String::new, |end| end.0.to_string());
        let kept_for = record.expires_at.map_or(0, |end| end.0.saturating_sub(now.0).saturating_add(GRACE_MS));
        let arguments = [
            name.to_owned(),
            now.0.to_string(),
            if expected.is_some() { "1".to_owned() } else { String::new() },
            expected.map_or_else(String::new, |value| BASE64_STANDARD.encode(value)),
            spell(&record),
            end,
            kept_for.to_string(),
        ];
        let written = self.api.eval(REPLACE, &self.keys.record(name), &arguments).await?;
        Ok(written == 1)
    }

    async fn take(&self, name: &str, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let taken = self.api.eval(TAKE, &self.keys.record(name), &[name]).await?;
        Ok(live(taken, now)?)
    }

    async fn list(&self, prefix: &str, now: Timestamp) -> Result<Vec<(String, Record)>, StoreError> {
        let (mut from, to) = (format!("[{prefix}"), format!("({prefix}{}", char::MAX));
        let mut found = Vec::new();
        loop {
            let names = self.api.eval(NAMES, &[self.keys.names()], &[&from, &to, &PAGE.to_string()]).await?;
            let names: Vec<String> = decode("the names of records", names)?;
            let Some(last) = names.last() else { return Ok(found) };
            from = format!("({last}");
            let keys: Vec<String> = names.iter().map(|name| self.keys.value(name)).collect();
            let values = self.api.eval(VALUES, &keys, &[""; 0]).await?;
            let values: Vec<Json> = decode("records", values)?;
            let is_last = names.len() < PAGE;
            for (name, value) in names.into_iter().zip(values) {
                if let Some(record) = live(value, now)? {
                    found.push((name, record));
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }
}

/// A record as it stands in Redis: its end, or nothing, and its value.
fn spell(record: &Record) -> String {
    let end = record.expires_at.map_or_else(String::new, |end| end.0.to_string());
    format!("{end}:{}", BASE64_STANDARD.encode(&record.value))
}

fn live(answer: Json, now: Timestamp) -> Result<Option<Record>, Fault> {
    let Some(found) = text("a record", answer)? else { return Ok(None) };
    let unreadable = |why: &str| Fault::Unreadable { what: "a record", why: why.to_owned() };
    let (end, value) = found.split_once(':').ok_or_else(|| unreadable("it has no end"))?;
    let expires_at = match end {
        "" => None,
        end => Some(Timestamp(end.parse().map_err(|_| unreadable("its end is no time"))?)),
    };
    let value = BASE64_STANDARD.decode(value).map_err(|_| unreadable("its value is no base64"))?;
    Ok(Some(Record { value, expires_at }).filter(|record| record.is_live(now)))
}
