//! Proofs of the whole: the real `cota` binary as a process, a scripted model behind a real socket, clients that race, die and
//! misbehave. Each test has a limit of time that only catches a hang.

mod bad_model;
mod bad_user;
mod crash;
mod isolation;
mod on_busy;
mod streaming;
mod support;
