//! What a reader serves, whatever it finds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends with what was found instead")]

#[allow(dead_code, reason = "some tests use a part of it")]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use cota_config::Bundle;
use cota_core::bot::Bot;
use cota_core::ids::{BotDigest, Timestamp};
use cota_driver::ports::Bots as _;
use cota_publish::{Built, Pointer, PublishedBots, Pushed, Reading, push, rules};
use futures_util::FutureExt as _;
use serde_json::json;
use support::{Memory, bundle, bundle_of, load, name};

const EVERY_MS: u64 = 1000;
const T0: Timestamp = Timestamp(1_700_000_000_000);

/// A reader of a place, whose clock the test moves.
struct Reader {
    place: Memory,
    bots: PublishedBots,
    now: Timestamp,
}

impl Reader {
    /// Its deployment has the version `built`, and `published` is published.
    fn new() -> Self {
        let place = Memory::default();
        let reading = Reading { source: Arc::new(place.clone()), load: Box::new(load), every_ms: EVERY_MS };
        let built = load(bundle("built")).bot.map(Arc::new);
        let mut reader = Self { place, bots: PublishedBots::new(reading, vec![Built { name: name(), bot: built }]), now: T0 };
        reader.push("published");
        reader.look();
        assert_eq!(reader.serves(), "published");
        reader
    }

    fn push(&self, description: &str) -> Pointer {
        match push(&self.place, &name(), &bundle(description), self.now).now_or_never().unwrap().unwrap() {
            Pushed::Published(pointer) | Pushed::Already(pointer) => pointer,
        }
    }

    /// Looks as soon as it may again, and returns what was logged.
    fn look(&mut self) -> String {
        self.now = self.now.plus_ms(EVERY_MS);
        logged(|| self.bots.look(self.now).now_or_never().unwrap())
    }

    fn current(&self) -> Arc<Bot> {
        self.bots.current(&name()).unwrap()
    }

    fn serves(&self) -> String {
        self.current().source().description.clone()
    }

    /// A pointer that would be followed.
    fn next(&self) -> Pointer {
        let bundle = bundle("next");
        let size = bundle.to_json().len() as u64;
        Pointer { cota_pointer: 1, bot: name(), digest: bundle.digest().clone(), sequence: T0.0 + 1_000_000, size, pushed_at: T0 }
    }

    /// Puts a pointer to the bundle text there.
    fn put(&self, pointer: &Pointer, bundle: impl Into<Vec<u8>>) {
        self.place.set(Pointer::bundle_name(&name(), &pointer.digest), bundle);
        self.place.set(Pointer::name_of(&name()), pointer.to_json());
    }

    /// What is there is not served; the log says why, once, and it is not read again.
    fn refuses(&mut self, why: &str) {
        let said = self.look();
        assert!(said.contains("a published version is refused; the bot as it was goes on") && said.contains(why), "{why}: {said}");
        assert!(said.lines().count() == 1 && said.contains("ERROR") && said.contains("bot=b"), "{said}");
        assert_eq!(self.serves(), "published");
        let reads = self.place.reads();
        assert_eq!(self.look(), "", "it was told already");
        assert_eq!(self.place.reads(), reads + 1, "the pointer alone is looked at");
    }
}

/// What is logged meanwhile.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_new_version_is_served_from_the_next_look_on_and_a_run_finds_its_own() {
    let mut reader = Reader::new();
    let first = reader.current();
    reader.push("second");
    reader.bots.look(reader.now).now_or_never().unwrap();
    assert_eq!(reader.serves(), "published", "it looked just now");
    let said = reader.look();
    assert!(said.contains("a published version is served from now on"), "{said}");
    assert_eq!(reader.serves(), "second");
    assert!(Arc::ptr_eq(&reader.bots.pinned(&name(), first.digest()).unwrap(), &first));
    assert_eq!(reader.look(), "", "nothing has changed since");
}

#[test]
fn a_version_that_is_published_again_is_served_again_without_being_read() {
    let mut reader = Reader::new();
    let first = reader.current();
    reader.push("second");
    reader.look();
    let back = reader.push("published");
    let reads = reader.place.reads();
    reader.look();
    assert!(Arc::ptr_eq(&reader.current(), &first));
    assert_eq!(reader.place.reads(), reads + 1, "the pointer alone");
    assert_eq!(&back.digest, first.digest());
}

#[test]
fn a_process_that_has_never_served_a_version_reads_it_for_a_run_that_is_pinned_to_it() {
    let reader = Reader::new();
    let old = bundle("old");
    reader.place.set(Pointer::bundle_name(&name(), old.digest()), old.to_json());
    assert!(reader.bots.pinned(&name(), old.digest()).is_none());
    let recalled = reader.bots.recall(&name(), old.digest()).now_or_never().unwrap().unwrap();
    assert_eq!(recalled.digest(), old.digest());
    assert!(Arc::ptr_eq(&reader.bots.pinned(&name(), old.digest()).unwrap(), &recalled), "it is kept");
    let gone = BotDigest::of(b"gone");
    assert!(reader.bots.recall(&name(), &gone).now_or_never().unwrap().is_none());
    assert_eq!(reader.serves(), "published");
}

#[test]
fn earlier_versions_are_kept_up_to_a_bound() {
    let mut reader = Reader::new();
    let first = reader.current();
    for n in 0..9 {
        assert!(reader.bots.pinned(&name(), first.digest()).is_some(), "{n}");
        reader.push(&format!("version {n}"));
        reader.look();
    }
    assert!(reader.bots.pinned(&name(), first.digest()).is_none());
}

#[test]
fn a_pointer_that_is_no_pointer_is_refused() {
    for (text, why) in [
        ("", "the pointer cannot be read"),
        ("<html>", "the pointer cannot be read"),
        ("{\"cota_pointer\": 1}", "the pointer cannot be read"),
        ("{\"cota_pointer\": 2, \"bot\": \"b\"}", "the pointer is of version 2"),
        ("[1, 2]", "the pointer cannot be read"),
    ] {
        let mut reader = Reader::new();
        reader.place.set(Pointer::name_of(&name()), text);
        reader.refuses(why);
    }
    let mut reader = Reader::new();
    reader.place.set(Pointer::name_of(&name()), " ".repeat(rules::POINTER_BYTES + 1));
    reader.refuses("the pointer has 4097 bytes; the limit is 4096");
}

#[test]
fn another_bots_pointer_or_bundle_is_refused() {
    let mut reader = Reader::new();
    let mut pointer = json!(reader.next());
    pointer["bot"] = json!("other");
    reader.place.set(Pointer::name_of(&name()), pointer.to_string());
    reader.refuses("it is the bot `other`'s, and not `b`'s");
    let other = bundle_of("other", "next");
    reader.put(&Pointer { digest: other.digest().clone(), ..reader.next() }, other.to_json());
    reader.refuses("it is the bot `other`'s, and not `b`'s");
}

#[test]
fn an_older_or_equal_sequence_is_refused() {
    for below in [0, 1, 1000] {
        let mut reader = Reader::new();
        reader.put(&Pointer { sequence: T0.0 - below, ..reader.next() }, bundle("next").to_json());
        reader.refuses("is not after 1700000000000, which is served");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let mut reader = Reader::new();
    reader.put(&Pointer { size: rules::BUNDLE_BYTES as u64 + 1, ..reader.next() }, bundle("next").to_json());
    reader.refuses("the bundle has 25165825 bytes; the limit is 25165824");
    // A size that is a lie.
    reader.put(&Pointer { size: 1, ..reader.next() }, vec![b' '; rules::BUNDLE_BYTES + 1]);
    reader.refuses("the bundle has 25165825 bytes; the limit is 25165824");
}

#[test]
fn a_bundle_that_is_not_the_one_of_its_digest_is_refused() {
    let next = bundle("next").to_json();
    let cases: [(Vec<u8>, &str); 6] = [
        (next.replace("next", "evil").into(), "digest does not fit its files"),
        (bundle("other").to_json().into(), "its bundle has the digest"),
        (b"not json".to_vec(), "this is not a bundle"),
        (b"{}".to_vec(), "this is not a bundle"),
        (vec![0xff, 0xfe], "its bundle is not UTF-8 text"),
        (next.get(..next.len() - 3).unwrap().into(), "this is not a bundle"),
    ];
    for (text, why) in cases {
        let mut reader = Reader::new();
        reader.put(&reader.next(), text);
        reader.refuses(why);
    }
}

#[test]
fn a_digest_that_is_a_way_somewhere_else_is_refused() {
    for digest in ["", "../../secret", &"A".repeat(64), &"0".repeat(63)] {
        let mut reader = Reader::new();
        reader.place.set(Pointer::name_of(&name()), Pointer { digest: BotDigest((*digest).into()), ..reader.next() }.to_json());
        reader.refuses("its digest is not 64 hexadecimal digits");
    }
}

#[test]
fn a_pointer_to_nothing_and_a_bot_that_does_not_load_are_refused() {
    let mut reader = Reader::new();
    reader.place.set(Pointer::name_of(&name()), reader.next().to_json());
    reader.refuses("its bundle is not there");
    let broken = Bundle::of(&[("endpoints.yml".to_owned(), "llms: {}\n".to_owned())].into(), "b");
    reader.put(&Pointer { digest: broken.digest().clone(), ..reader.next() }, broken.to_json());
    reader.refuses("the bot does not load");
}

#[test]
fn after_a_refused_one_a_good_one_is_served() {
    let mut reader = Reader::new();
    reader.place.set(Pointer::name_of(&name()), "nonsense");
    reader.look();
    reader.push("mended");
    reader.look();
    assert_eq!(reader.serves(), "mended");
}
