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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_executor::block_on;
    use futures_util::future::{join, join3};

    use super::*;

    const NOWHERE: Failpoints = Failpoints { before: "", after: "" };

    fn queue() -> Queue {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE word (word TEXT NOT NULL)").unwrap();
        Queue::start("test", db, TransactionBehavior::Immediate).unwrap()
    }

    /// Writes a word and counts how often it is asked to.
    fn write(word: Option<&'static str>, runs: &Arc<AtomicU32>) -> impl FnMut(&Connection) -> Result<(), Fault> + Send + 'static {
        let runs = Arc::clone(runs);
        move |db| {
            runs.fetch_add(1, Ordering::Relaxed);
            db.execute("INSERT INTO word (word) VALUES (?1)", [word])?;
            Ok(())
        }
    }

    fn words(queue: &Queue) -> Vec<String> {
        let read = queue.run(&NOWHERE, |db| {
            let mut select = db.prepare("SELECT word FROM word ORDER BY rowid")?;
            Ok(select.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?)
        });
        block_on(read).unwrap()
    }

    #[test]
    fn one_that_fails_is_rolled_back_and_spoils_no_other() {
        let queue = queue();
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let mut begun = Some(begun);
        let first = queue.run(&NOWHERE, move |_| {
            begun.take().map(|begun| begun.send(()));
            let _ = released.recv();
            Ok(())
        });
        let runs = Arc::new(AtomicU32::new(0));
        let (good, bad, also_good) = ("good", None, "also good");
        // The first is alone in its transaction and lasts until the others wait, so those are one batch.
        let together = async {
            has_begun.await.unwrap();
            let asked = join3(
                queue.run(&NOWHERE, write(Some(good), &runs)),
                queue.run(&NOWHERE, write(bad, &runs)),
                queue.run(&NOWHERE, write(Some(also_good), &runs)),
            );
            join(asked, async { drop(release) }).await.0
        };
        let (first, (one, two, three)) = block_on(join(first, together));
        first.unwrap();
        one.unwrap();
        assert!(matches!(two, Err(Fault::Sql(_))), "{two:?}");
        three.unwrap();
        assert_eq!(words(&queue), [good, also_good]);
        assert_eq!(runs.load(Ordering::Relaxed), 5, "two in the batch that failed, then each alone");
    }

    #[test]
    fn a_dead_thread_is_told_to_whoever_asks() {
        let queue = queue();
        let died = block_on(queue.run(&NOWHERE, |_| -> Result<(), Fault> { panic!("a bug") }));
        assert!(matches!(died, Err(Fault::Gone)), "{died:?}");
        let asked = block_on(queue.run(&NOWHERE, |_| Ok(())));
        assert!(matches!(asked, Err(Fault::Gone)), "{asked:?}");
    }

    #[test]
    fn what_was_asked_is_done_before_the_queue_is_gone() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let db = Connection::open(path.path()).unwrap();
        db.execute_batch("CREATE TABLE word (word TEXT NOT NULL)").unwrap();
        let queue = Queue::start("test", db, TransactionBehavior::Immediate).unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        for _ in 0..100 {
            let mut asked = Box::pin(queue.run(&NOWHERE, write(Some("word"), &runs)));
            let _ = block_on(async { futures_util::poll!(&mut asked) });
        }
        drop(queue);
        let count: u32 = Connection::open(path.path()).unwrap().query_row("SELECT count(*) FROM word", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 100);
    }
}
