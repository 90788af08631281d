//! The ports of a process on an operating system: clock, tasks, randomness, HTTP.
//!
//! The command line and the Lambda functions run on these. It knows neither bots' folders nor stores: where those are is what
//! sets the two apart.
//!
//! **Key decision: what both need stands here once, however small it is.** A clock that goes back on one target alone would be a
//! defect that no other target's tests find.

mod chance;
mod clock;
mod holder;
mod http;
mod key_set;
mod spawn;

pub use chance::SystemChance;
pub use clock::TokioClock;
pub use cota_effects::http::Trust;
pub use holder::unique_holder;
pub use http::LazyHttp;
pub use key_set::KeySetAt;
pub use spawn::TokioSpawn;
