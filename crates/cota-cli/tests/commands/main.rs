//! The commands as people call them: the real binary, real folders, real pipes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod bundle;
mod check;
mod init;
mod key;
mod push;
mod reload;
mod run;
mod shell;
mod support;
mod task;
mod test;
mod trace;
mod usage;
