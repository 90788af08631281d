//! Dialogue policy: what to do next, and which thoughts to show a model, as pure functions of bot and tracker.
use crate::bot::BotSource;
/// The compiled hard rules of a bot.
#[derive(Debug)]
pub struct Rules {}
impl Rules {
    /// Compiles them.
    #[must_use]
    pub fn compile(_source: &BotSource) -> Self {
        Self {}
    }
}
/// The compiled examples of a bot.
#[derive(Debug)]
pub struct Thoughts {}
impl Thoughts {
    /// Compiles them.
    #[must_use]
    pub fn compile(_source: &BotSource) -> Self {
        Self {}
    }
}
