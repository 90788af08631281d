//! The turn as tables: what is said, what the world answers, what is recorded.

mod chat;
mod failures;
mod forms;
mod interruptions;
mod stage;
mod tools;
