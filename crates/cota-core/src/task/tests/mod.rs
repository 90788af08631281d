//! The task as tables: what is planned, what agents answer, what is recorded.

mod plans;
mod runs;
mod stage;
mod told;
