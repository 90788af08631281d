//! The ports of a machine with folders, files and programs; those of any process are `cota-native`'s.

mod bot_path;
mod folders;
#[cfg(target_os = "linux")]
pub(crate) mod guard;
mod open_files;
mod place;
mod scripts;
mod store;
mod task_folders;
mod tasks;

pub use cota_native::{KeySetAt, LazyHttp, SystemChance, TokioClock, TokioSpawn, unique_holder};

pub use bot_path::{BotPath, ReadError};
pub use folders::{Folders, OpenBotsError, Opened, Reload};
pub use open_files::allow_open_files;
pub(crate) use place::open_place;
pub use scripts::{Homes, Scripts};
pub use store::{OpenStoreError, StorePlace, Stores};
pub use task_folders::{BotsAndTasks, OpenTaskError, OpenedTask, TaskFolders, TaskReload};
pub use tasks::TaskPath;
