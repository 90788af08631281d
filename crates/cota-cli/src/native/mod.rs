//! The ports of a machine with an operating system.

mod clock;
mod spawn;

pub use clock::TokioClock;
pub use spawn::TokioSpawn;
