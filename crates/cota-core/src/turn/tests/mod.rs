//! The turn as tables: what is said, what the world answers, what is recorded.

#![expect(clippy::wildcard_enum_match_arm, reason = "a step that a test does not expect fails it")]

mod chat;
mod failures;
mod forms;
mod interruptions;
mod stage;
mod tools;
