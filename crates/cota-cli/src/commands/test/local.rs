//! Tests in this very process, each with a store of its own.

use std::sync::Arc;

use async_trait::async_trait;
use cota_config::tests::ConversationTest;
use cota_core::event::ActionRecord;
use cota_core::ids::BotName;
use cota_driver::memory::MemoryStore;
use cota_driver::ports::Effects;
use cota_driver::store::Holder;
use cota_effects::StandardEffects;

use super::effects::TestEffects;
use super::{Conversation, SayError, Side};
use crate::failure::Failure;
use crate::native::{Folders, LazyHttp, Scripts, TokioClock, unique_holder};
use crate::talk::{self, Heard, Talk, TalkError};

/// The conversation's name in every test.
const CONVERSATION: &str = "test";

pub(super) struct Local {
    folders: Arc<Folders>,
    bot: BotName,
    clock: TokioClock,
    effects: Arc<dyn Effects>,
    holder: Holder,
}

impl Local {
    pub(super) fn new(folders: Folders, bot: BotName) -> Self {
        let (folders, clock) = (Arc::new(folders), TokioClock::new());
        let scripts = Arc::new(Scripts::new(Arc::clone(&folders) as _).guarded());
        let effects = Arc::new(StandardEffects::with_scripts(Arc::<LazyHttp>::default(), Arc::new(clock), scripts));
        Self { folders, bot, clock, effects, holder: unique_holder() }
    }
}

#[async_trait(?Send)]
impl Side for Local {
    async fn begin(&self, test: &ConversationTest) -> Result<Box<dyn Conversation>, Failure> {
        let effects: Arc<dyn Effects> = match &test.llm {
            Some(llm) => Arc::new(TestEffects::new(Arc::clone(&self.effects), llm)),
            None => Arc::clone(&self.effects),
        };
        let store = Arc::new(MemoryStore::new());
        let host = talk::host(Arc::clone(&self.folders) as _, effects, self.clock, store, self.holder.clone());
        let key = talk::key(&self.bot, None, CONVERSATION).map_err(|error| Failure::service(error.to_string()))?;
        Ok(Box::new(Talk::enter(host, key, &self.holder).await?))
    }
}

#[async_trait(?Send)]
impl Conversation for Talk {
    async fn say(&mut self, text: &str) -> Result<Vec<ActionRecord>, SayError> {
        let mut actions = Vec::new();
        let mut hear = |heard: Heard<'_>| match heard {
            Heard::Event(event) => actions.extend(talk::action(event).cloned()),
            Heard::Piece(_) => {}
        };
        match Talk::say(self, text, false, &mut hear).await {
            Ok(()) => Ok(actions),
            Err(TalkError::Refused(error)) => Err(SayError::Refused(error.to_string())),
            Err(error @ TalkError::Silence) => Err(SayError::Refused(error.to_string())),
        }
    }

    /// The store goes with the conversation.
    async fn forget(&mut self) {}
}
