//! Compare and write: the rules are asked about a head, and what they decide is written if the head is still the same.

use std::borrow::Cow;

use cota_core::event::InboxMessage;
use cota_core::ids::{ConversationKey, RunId};
use cota_driver::store::{Loaded, Recorded};
use serde_json::Value as Json;

use crate::UpstashStore;
use crate::fault::Fault;
use crate::head::{Head, KnownHead};
use crate::keys::{Part, Parts};
use crate::reading::{decode, inbox, loaded, text};

/// Each failed try means that another writer got through, and how many can wait is bounded.
const TRIES: usize = 100;
/// Most words of one change, well below what Lua can take apart.
const WORDS: usize = 512;
const COMPARE_AND_WRITE: &str = include_str!("scripts/compare_and_write.lua");

/// What was decided on a head.
pub(crate) struct Decision<'a, T> {
    /// What the caller is told.
    pub(crate) outcome: T,
    /// What is written; nothing where only the head is compared.
    pub(crate) write: Option<Write<'a>>,
    /// Whether what waits afterwards is to be told.
    pub(crate) tell_inbox: bool,
}

impl<T> Decision<'_, T> {
    /// Writes nothing. The head is compared all the same: the decision may rest on one that is out of date.
    pub(crate) fn nothing(outcome: T) -> Self {
        Self { outcome, write: None, tell_inbox: false }
    }
}

/// What is written with a new head.
pub(crate) struct Write<'a> {
    pub(crate) head: Head,
    pub(crate) changes: Vec<Change<'a>>,
}

/// One command on a part of the conversation.
pub(crate) struct Change<'a> {
    command: &'static str,
    part: Part,
    words: Vec<Cow<'a, str>>,
}

impl<'a> Change<'a> {
    pub(crate) fn new<W: Into<Cow<'a, str>>>(command: &'static str, part: Part, words: impl IntoIterator<Item = W>) -> Self {
        Self { command, part, words: words.into_iter().map(Into::into).collect() }
    }

    /// Its words as the script takes them: several commands where they are many.
    fn spell(&self, arguments: &mut Vec<Cow<'a, str>>) {
        for words in self.words.chunks(WORDS) {
            arguments.push(words.len().to_string().into());
            arguments.push(self.command.into());
            arguments.push((self.part as u8).to_string().into());
            arguments.extend_from_slice(words);
        }
    }
}

/// What came of a change.
pub(crate) enum Changed<T> {
    /// It was decided on the present head, and written.
    Done {
        outcome: T,
        /// What waits, where that was asked.
        inbox: Vec<InboxMessage>,
        /// The conversation as it was before, where it had to be read and that was asked.
        before: Option<Loaded>,
    },
    /// The message of the run that was asked of is known already.
    Known(Recorded),
}

/// What a change is told beside the head.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asks<'r> {
    /// Whether the message of this run is known already; nothing is written then.
    pub(crate) record: Option<&'r RunId>,
    /// What stands in the conversation, where the first head was not the present one and it has to be asked again anyhow.
    pub(crate) conversation: bool,
}

/// Asks `decide` about the conversation's head, `None` for a conversation that does not exist, until what it decided is
/// written.
pub(crate) async fn change<'a, T>(
    store: &UpstashStore,
    key: &ConversationKey,
    asks: Asks<'_>,
    mut decide: impl FnMut(Option<Head>) -> Result<Decision<'a, T>, Fault> + Send,
) -> Result<Changed<T>, Fault> {
    let parts = store.keys.parts(key);
    let mut known = store.heads.get(key);
    let mut read = None;
    for _ in 0..TRIES {
        let Decision { outcome, write, tell_inbox } = decide(known.as_ref().map(|known| known.head.clone()))?;
        let (head, changes) = write.map_or((None, Vec::new()), |write| (Some(write.head), write.changes));
        let head = head.map(KnownHead::write).transpose()?;
        let expected = known.as_ref().map_or("", |known| known.text.as_str());
        let arguments = arguments(store, key, (expected, head.as_ref()), asks, tell_inbox, &changes)?;
        match compare_and_write(store, &parts, &arguments).await? {
            Answer::Written(inbox) => {
                store.heads.put(key, head.or(known));
                // Every write changes the head, so what was read with this one is still there.
                let before = read.map(loaded).transpose()?.flatten();
                return Ok(Changed::Done { outcome, inbox, before });
            }
            Answer::Refused(refused) => {
                let Refused { head, recorded, conversation } = *refused;
                known = head;
                read = Some(conversation);
                store.heads.put(key, known.clone());
                if let Some(recorded) = recorded {
                    return Ok(Changed::Known(recorded));
                }
            }
        }
    }
    Err(Fault::Contended)
}

fn arguments<'a>(
    store: &UpstashStore,
    key: &ConversationKey,
    (expected, head): (&str, Option<&KnownHead>),
    asks: Asks<'_>,
    tell_inbox: bool,
    changes: &[Change<'a>],
) -> Result<Vec<Cow<'a, str>>, Fault> {
    let due = head.and_then(|known| known.head.due());
    // What is unfinished is kept until it is finished.
    let keep = store.retention_ms.filter(|_| head.is_some_and(|known| known.head.record.is_free())).unwrap_or(0);
    let mut arguments = vec![
        expected.to_owned().into(),
        head.map_or_else(String::new, |known| known.text.clone()).into(),
        asks.record.map_or_else(String::new, ToString::to_string).into(),
        keep.to_string().into(),
        due.map_or_else(String::new, |due| due.0.to_string()).into(),
        member(key)?.into(),
        flag(tell_inbox),
        flag(asks.conversation),
    ];
    changes.iter().for_each(|change| change.spell(&mut arguments));
    Ok(arguments)
}

fn flag<'a>(is_set: bool) -> Cow<'a, str> {
    if is_set { "1" } else { "" }.into()
}

enum Answer {
    Written(Vec<InboxMessage>),
    Refused(Box<Refused>),
}

/// What is there instead of what was expected.
struct Refused {
    head: Option<KnownHead>,
    recorded: Option<Recorded>,
    conversation: Json,
}

async fn compare_and_write(store: &UpstashStore, parts: &Parts, arguments: &[Cow<'_, str>]) -> Result<Answer, Fault> {
    let mut answer = decode::<Vec<Json>>("the answer to a write", store.api.eval(COMPARE_AND_WRITE, parts, arguments).await?)?.into_iter();
    if answer.next() == Some(Json::from(1)) {
        return Ok(Answer::Written(inbox(answer.next().unwrap_or_default())?));
    }
    let head = text("a conversation's head", answer.next().unwrap_or_default())?.map(KnownHead::read).transpose()?;
    let recorded = text("a message's record", answer.next().unwrap_or_default())?;
    let recorded = recorded.map(|recorded| serde_json::from_str(&recorded)).transpose();
    let recorded = recorded.map_err(|error| Fault::Unreadable { what: "a message's record", why: error.to_string() })?;
    Ok(Answer::Refused(Box::new(Refused { head, recorded, conversation: answer.next().unwrap_or_default() })))
}

/// The conversation's name in the list of unfinished ones.
pub(crate) fn member(key: &ConversationKey) -> Result<String, Fault> {
    serde_json::to_string(key).map_err(|error| Fault::Unwritable { what: "a conversation's key", why: error.to_string() })
}
