//! A thread with a connection of its own, and the queue of what it is to do: group commit.
//!
//! Whatever waits runs in one transaction and is answered after its end, so a hundred conversations share the price of one
//! commit. If anything fails the transaction is rolled back and each operation tried alone, so one that cannot be carried out
//! spoils no other.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use cota_driver::failpoint::failpoint;
use futures_channel::oneshot;
use rusqlite::{Connection, TransactionBehavior};

use crate::fault::Fault;

/// Most operations in one transaction: a bound on how long the first waits for the last.
const BATCH: usize = 256;

/// Where a crash test may end the process on behalf of an operation.
pub(crate) struct Failpoints {
    /// Done, and not yet durable.
    pub(crate) before: &'static str,
    /// Durable, and not yet answered.
    pub(crate) after: &'static str,
}

/// The thread and its queue. Dropping it waits until all that was asked is done.
pub(crate) struct Queue {
    tasks: Option<Sender<Box<dyn Task>>>,
    thread: Option<JoinHandle<()>>,
}

impl Queue {
    /// Starts a thread of this name that works on `connection` in transactions of this behaviour.
    pub(crate) fn start(name: &str, mut connection: Connection, behavior: TransactionBehavior) -> io::Result<Self> {
        let (tasks, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(batch) = next_batch(&waiting) {
                carry_out(&mut connection, behavior, batch);
            }
        })?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread) })
    }

    /// Runs `work` in a transaction and answers once it is durable. It may run twice, the first time for nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        failpoints: &'static Failpoints,
        work: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let task = Job { work, failpoints, result: Err(Fault::Gone), reply };
        let tasks = self.tasks.as_ref().ok_or(Fault::Gone)?;
        tasks.send(Box::new(task)).map_err(|_| Fault::Gone)?;
        answer.await.unwrap_or(Err(Fault::Gone))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An operation that waits for its transaction.
trait Task: Send {
    fn run(&mut self, db: &Connection) -> Result<(), Fault>;
    fn fail(&mut self, fault: Fault);
    fn answer(self: Box<Self>);
    fn failpoints(&self) -> &'static Failpoints;
}

struct Job<T, W> {
    work: W,
    failpoints: &'static Failpoints,
    result: Result<T, Fault>,
    reply: oneshot::Sender<Result<T, Fault>>,
}

impl<T: Send, W: FnMut(&Connection) -> Result<T, Fault> + Send> Task for Job<T, W> {
    fn run(&mut self, db: &Connection) -> Result<(), Fault> {
        self.result = Ok((self.work)(db)?);
        Ok(())
    }

    fn fail(&mut self, fault: Fault) {
        self.result = Err(fault);
    }

    fn answer(self: Box<Self>) {
        let _ = self.reply.send(self.result);
    }

    fn failpoints(&self) -> &'static Failpoints {
        self.failpoints
    }
}

/// All that waits, once something does. `None` when nobody can ask any more.
fn next_batch(waiting: &Receiver<Box<dyn Task>>) -> Option<Vec<Box<dyn Task>>> {
    let mut batch = vec![waiting.recv().ok()?];
    batch.extend(waiting.try_iter().take(BATCH - 1));
    Some(batch)
}

fn carry_out(db: &mut Connection, behavior: TransactionBehavior, mut batch: Vec<Box<dyn Task>>) {
    if let Err(fault) = transaction(db, behavior, &mut batch) {
        match batch.as_mut_slice() {
            [only] => only.fail(fault),
            several => {
                for task in several {
                    if let Err(fault) = transaction(db, behavior, std::slice::from_mut(task)) {
                        task.fail(fault);
                    }
                }
            }
        }
    }
    batch.into_iter().for_each(Task::answer);
}

fn transaction(db: &mut Connection, behavior: TransactionBehavior, batch: &mut [Box<dyn Task>]) -> Result<(), Fault> {
    let transaction = db.transaction_with_behavior(behavior)?;
    for task in batch.iter_mut() {
        task.run(&transaction)?;
        failpoint("middle-of-batch");
    }
    batch.iter().for_each(|task| failpoint(task.failpoints().before));
    transaction.commit()?;
    batch.iter().for_each(|task| failpoint(task.failpoints().after));
    Ok(())
}
