//! The model that needs no network: it answers from a bot's own annotated dialogues.
//!
//! It takes the place of an LLM (`type: examples` in endpoints.yml): the turn asks it what it would ask an LLM, and gets the
//! JSON that an LLM would have written. The example bots run on it, tests run on it, and an author may name it as the
//! `fallback_model` of a real one. It is no language model: it says only what the examples say.
//!
//! - [`ExamplesModel`] is the whole of its interface.
//! - `rehearsal` plays the examples through the tracker, `lessons` collects what they teach.
//! - `heard` reads a message once for all that is asked about it; `situation` and `features` turn a moment of a conversation into a
//!   vector, `classifier` and `choice` turn that into the next action, `calibrate` finds out when not to trust it.
//! - `slots` finds values in a message, `utter` says texts, `proxy` plays the user.
//!
//! **Key decision: examples are played, not parsed.** The situation before a step of an example and the situation in a
//! conversation are built by the same code from the same tracker, so what is learned is what is met. Nothing depends on a
//! language: the features are characters, and no list of words is kept. There is no clock, no chance and no thread: the same
//! bot gives the same model and the same answers everywhere.

mod calibrate;
mod choice;
mod classifier;
mod features;
mod heard;
mod lessons;
mod model;
mod nearest;
mod proxy;
mod rehearsal;
mod situation;
mod slots;
mod utter;

pub use model::ExamplesModel;

#[cfg(test)]
mod tests;
