//! What every [`Ledger`] must do, whatever it keeps its records in.

use std::sync::Arc;

use cota_core::ids::Timestamp;
use cota_driver::ledger::{Ledger, Record};
use futures_util::future::{BoxFuture, join_all};

use super::samples::T0;

/// One rule of the ledger, tried.
#[derive(Clone, Copy)]
pub struct LedgerCase {
    /// What it proves.
    pub name: &'static str,
    run: fn(Arc<dyn Ledger>) -> BoxFuture<'static, ()>,
}

impl LedgerCase {
    /// Tries it on a ledger in which no other case was tried before.
    ///
    /// # Panics
    /// If the ledger breaks the rule.
    pub async fn run(&self, ledger: Arc<dyn Ledger>) {
        (self.run)(ledger).await;
    }
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        vec![$(LedgerCase { name: stringify!($case), run: |ledger| Box::pin($case(ledger)) }),*]
    };
}

/// Every case.
#[must_use]
pub fn cases() -> Vec<LedgerCase> {
    cases![
        a_record_comes_back_byte_by_byte,
        a_record_is_replaced_only_where_it_is_what_was_expected,
        one_of_several_writers_at_once_is_the_first,
        one_of_several_takers_at_once_gets_it,
        an_ended_record_is_nowhere_to_be_seen,
        an_ended_record_makes_room_for_a_new_one,
        a_list_has_the_names_of_one_beginning_in_order,
        thousands_of_records_that_ended_hide_none_that_did_not,
    ]
}

fn lasting(value: &[u8]) -> Record {
    Record { value: value.to_vec(), expires_at: None }
}

fn until(value: &[u8], end: Timestamp) -> Record {
    Record { value: value.to_vec(), expires_at: Some(end) }
}

async fn put(ledger: &dyn Ledger, name: &str, record: Record) {
    assert!(ledger.replace(name, None, record, T0).await.unwrap(), "{name} is free");
}

async fn value(ledger: &dyn Ledger, name: &str, now: Timestamp) -> Option<Vec<u8>> {
    ledger.get(name, now).await.unwrap().map(|record| record.value)
}

async fn a_record_comes_back_byte_by_byte(ledger: Arc<dyn Ledger>) {
    let all: Vec<u8> = (0..=255).collect();
    for (name, record) in [("a", lasting(&all)), ("b", until(b"", T0.plus_ms(1))), ("ü/%_", lasting(b"x"))] {
        assert_eq!(ledger.get(name, T0).await.unwrap(), None);
        put(ledger.as_ref(), name, record.clone()).await;
        assert_eq!(ledger.get(name, T0).await.unwrap(), Some(record));
    }
}

async fn a_record_is_replaced_only_where_it_is_what_was_expected(ledger: Arc<dyn Ledger>) {
    assert!(!ledger.replace("a", Some(b"1"), lasting(b"2"), T0).await.unwrap());
    put(ledger.as_ref(), "a", lasting(b"1")).await;
    assert!(!ledger.replace("a", None, lasting(b"2"), T0).await.unwrap());
    assert!(!ledger.replace("a", Some(b"0"), lasting(b"2"), T0).await.unwrap());
    assert_eq!(value(ledger.as_ref(), "a", T0).await.as_deref(), Some(b"1".as_slice()));
    assert!(ledger.replace("a", Some(b"1"), until(b"2", T0.plus_ms(5)), T0).await.unwrap());
    assert_eq!(ledger.get("a", T0).await.unwrap(), Some(until(b"2", T0.plus_ms(5))));
}

async fn one_of_several_writers_at_once_is_the_first(ledger: Arc<dyn Ledger>) {
    let writes = (0..20_u8).map(|n| ledger.replace("a", None, Record { value: vec![n], expires_at: None }, T0));
    let written = join_all(writes).await.into_iter().filter(|written| *written == Ok(true)).count();
    assert_eq!(written, 1);
}

async fn one_of_several_takers_at_once_gets_it(ledger: Arc<dyn Ledger>) {
    put(ledger.as_ref(), "a", lasting(b"1")).await;
    let taken = join_all((0..20).map(|_| ledger.take("a", T0))).await;
    assert_eq!(taken.into_iter().filter_map(Result::unwrap).collect::<Vec<_>>(), [lasting(b"1")]);
    assert_eq!(ledger.get("a", T0).await.unwrap(), None);
}

async fn an_ended_record_is_nowhere_to_be_seen(ledger: Arc<dyn Ledger>) {
    put(ledger.as_ref(), "a", until(b"1", T0.plus_ms(10))).await;
    assert!(ledger.get("a", T0.plus_ms(9)).await.unwrap().is_some());
    assert_eq!(ledger.get("a", T0.plus_ms(10)).await.unwrap(), None);
    assert_eq!(ledger.list("", T0.plus_ms(10)).await.unwrap(), []);
    assert_eq!(ledger.take("a", T0.plus_ms(10)).await.unwrap(), None);
}

async fn an_ended_record_makes_room_for_a_new_one(ledger: Arc<dyn Ledger>) {
    put(ledger.as_ref(), "a", until(b"1", T0.plus_ms(10))).await;
    let later = T0.plus_ms(10);
    assert!(!ledger.replace("a", Some(b"1"), lasting(b"2"), later).await.unwrap());
    assert!(ledger.replace("a", None, lasting(b"2"), later).await.unwrap());
    assert_eq!(value(ledger.as_ref(), "a", later).await.as_deref(), Some(b"2".as_slice()));
}

async fn a_list_has_the_names_of_one_beginning_in_order(ledger: Arc<dyn Ledger>) {
    for name in ["key/b", "key/a", "key", "keys/a", "key/", "ticket/a", "key/ü", "Key/a"] {
        put(ledger.as_ref(), name, lasting(name.as_bytes())).await;
    }
    let listed = ledger.list("key/", T0).await.unwrap();
    assert_eq!(listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["key/", "key/a", "key/b", "key/ü"]);
    assert!(listed.iter().all(|(name, record)| record.value == name.as_bytes()));
    assert_eq!(ledger.list("", T0).await.unwrap().len(), 8);
}

async fn thousands_of_records_that_ended_hide_none_that_did_not(ledger: Arc<dyn Ledger>) {
    for n in 0..3000_u64 {
        let record = if n % 1000 == 0 { lasting(b"x") } else { until(b"x", T0.plus_ms(n + 1)) };
        assert!(ledger.replace(&format!("{n:04}"), None, record, T0.plus_ms(n)).await.unwrap());
    }
    let left: Vec<String> = ledger.list("", T0.plus_ms(5000)).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["0000", "1000", "2000"]);
}
