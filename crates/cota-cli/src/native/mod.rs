//! The ports of a machine with an operating system.

mod bot_path;
mod chance;
mod clock;
mod folders;
mod holder;
mod http;
mod key_set;
mod scripts;
mod spawn;
mod store;

pub use bot_path::{BotPath, ReadError};
pub use chance::SystemChance;
pub use clock::TokioClock;
pub use folders::{Folders, OpenBotsError, Opened, Reload};
pub use holder::unique_holder;
pub use http::LazyHttp;
pub use key_set::KeySetAt;
pub use scripts::Scripts;
pub use spawn::TokioSpawn;
pub use store::{StorePlace, Stores};
