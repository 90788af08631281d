//! Which holders of claims are alive: each has a file, locked by its process. The operating system drops the lock with the
//! process, however it ends, so the claim of a dead holder can be told from a slow one's without waiting for its lease.
//!
//! Locking, probing and sweeping happen inside a write transaction of the database, and so never at once in two processes.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cota_driver::store::Holder;

use crate::fault::Fault;

/// The locks of this process, and a view of the others'.
#[derive(Debug)]
pub(crate) struct Holders {
    folder: PathBuf,
    held: Mutex<HashMap<Holder, File>>,
}

impl Holders {
    /// The locks beside the database `db`, in a folder that is made where it is missing.
    pub(crate) fn beside(db: &Path) -> io::Result<Self> {
        let mut folder = OsString::from(db);
        folder.push(".holders");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, held: Mutex::default() })
    }

    /// Makes `holder` one of this process, alive as long as this value.
    pub(crate) fn hold(&self, holder: &Holder) -> Result<(), Fault> {
        let mut held = self.held();
        if held.contains_key(holder) {
            return Ok(());
        }
        let fault = |why: String| Fault::Holder { holder: holder.clone(), why };
        let path = self.file_of(holder);
        let file = open(&path, true).map_err(|error| fault(format!("{}: {error}", path.display())))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => fault("another store uses this name".to_owned()),
            TryLockError::Error(error) => fault(format!("{}: {error}", path.display())),
        })?;
        held.insert(holder.clone(), file);
        Ok(())
    }

    /// Whether `holder` is certainly no more: its file is gone, or nobody has it locked.
    pub(crate) fn is_dead(&self, holder: &Holder) -> bool {
        if self.held().contains_key(holder) {
            return false;
        }
        match open(&self.file_of(holder), false) {
            Ok(file) => file.try_lock().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Removes the files of the dead.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if open(&path, false).is_ok_and(|file| file.try_lock().is_ok()) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Holder, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The holder's name with every character escaped that a file system may treat in a way of its own.
    fn file_of(&self, holder: &Holder) -> PathBuf {
        let mut name = String::from("h-");
        for byte in holder.0.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
                other => {
                    let _ = write!(name, "%{other:02x}");
                }
            }
        }
        self.folder.join(name)
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        for holder in self.held().keys() {
            let _ = fs::remove_file(self.file_of(holder));
        }
    }
}

fn open(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)
}
