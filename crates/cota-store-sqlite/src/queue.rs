//! A connection, and the queue of what it is to do: group commit.
//!
//! Whatever waits runs in one transaction of the connection's thread and is answered after its end, so a hundred conversations
//! share the price of one commit. If anything fails the transaction is rolled back and each operation tried alone, so one that
//! cannot be carried out spoils no other. Where operations come one after the other there is nobody to share with: whoever asks
//! carries it out at once, which saves waking two threads. Once two meet, the next are the thread's.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use cota_driver::failpoint::failpoint;
use futures_channel::oneshot;
use rusqlite::{Connection, TransactionBehavior};

use crate::fault::Fault;

/// Most operations in one transaction: a bound on how long the first waits for the last.
const BATCH: usize = 256;

/// Operations that go to the thread after two have met: who met once meets again.
const CROWD: usize = 256;

/// How long the thread waits for another process that is writing. A caller does not.
pub(crate) const BUSY: Duration = Duration::from_secs(5);

/// Where a crash test may end the process on behalf of an operation.
pub(crate) struct Failpoints {
    /// Done, and not yet durable.
    pub(crate) before: &'static str,
    /// Durable, and not yet answered.
    pub(crate) after: &'static str,
}

/// How a connection works.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// How its transactions begin.
    pub(crate) behavior: TransactionBehavior,
    /// Whether one may wait for the disk, which no caller should.
    pub(crate) is_slow: bool,
}

/// The connection with its thread. Dropping it waits until all that was asked is done.
pub(crate) struct Queue {
    tasks: Option<Sender<Box<dyn Task>>>,
    thread: Option<JoinHandle<()>>,
    desk: Arc<Desk>,
}

/// Where operations are carried out, by the thread or by whoever asks.
struct Desk {
    connection: Mutex<Connection>,
    manner: Manner,
    /// Operations that are asked and not yet answered.
    asked: AtomicUsize,
    /// Operations that are still the thread's, where nobody meets any more.
    crowd: AtomicUsize,
}

impl Queue {
    /// Starts a thread of this name.
    pub(crate) fn start(name: &str, connection: Connection, manner: Manner) -> io::Result<Self> {
        let (tasks, waiting) = mpsc::channel();
        let desk = Arc::new(Desk { connection: Mutex::new(connection), manner, asked: AtomicUsize::new(0), crowd: AtomicUsize::new(0) });
        let of_thread = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(batch) = next_batch(&waiting)
                && of_thread.carry_out(batch)
            {}
        })?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread), desk })
    }

    /// Runs `work` in a transaction and answers once it is durable. It may run twice, the first time for nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        failpoints: &'static Failpoints,
        work: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let task = Job { work, failpoints, result: Err(Fault::Gone), reply };
        if let Some(task) = self.desk.carry_out_alone(Box::new(task)) {
            let tasks = self.tasks.as_ref().ok_or(Fault::Gone)?;
            tasks.send(task).map_err(|_| Fault::Gone)?;
        }
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

impl Desk {
    /// Carries an operation out at once if it has met no other; else, and where it fails, gives it back for the thread.
    fn carry_out_alone(&self, task: Box<dyn Task>) -> Option<Box<dyn Task>> {
        if self.asked.fetch_add(1, Ordering::AcqRel) > 0 {
            self.crowd.store(CROWD, Ordering::Relaxed);
        }
        let is_alone = self.crowd.load(Ordering::Relaxed) == 0 && !self.manner.is_slow;
        let Some(mut db) = is_alone.then(|| self.connection.try_lock().ok()).flatten() else { return Some(task) };
        // A panic leaves the connection locked for good, as that of the thread does: nobody knows what state it is in.
        let carried_out = catch_unwind(AssertUnwindSafe(move || {
            let mut batch = [task];
            let done = db.busy_timeout(Duration::ZERO).map_err(Fault::from).and_then(|()| transaction(&mut db, self.manner, &mut batch));
            let [task] = batch;
            if done.is_err() {
                return Some(task);
            }
            drop(db);
            self.answer(task);
            None
        }));
        carried_out.unwrap_or(None)
    }

    /// Carries a batch out, unless the connection can be used no more.
    fn carry_out(&self, mut batch: Batch) -> bool {
        let Ok(mut db) = self.connection.lock() else { return false };
        match batch.len() {
            1 => self.crowd.store(self.crowd.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed),
            _ => self.crowd.store(CROWD, Ordering::Relaxed),
        }
        let done = db.busy_timeout(BUSY).map_err(Fault::from).and_then(|()| transaction(&mut db, self.manner, &mut batch));
        if let Err(fault) = done {
            match batch.as_mut_slice() {
                [only] => only.fail(fault),
                several => {
                    for task in several {
                        if let Err(fault) = transaction(&mut db, self.manner, std::slice::from_mut(task)) {
                            task.fail(fault);
                        }
                    }
                }
            }
        }
        drop(db);
        batch.into_iter().for_each(|task| self.answer(task));
        true
    }

    fn answer(&self, task: Box<dyn Task>) {
        self.asked.fetch_sub(1, Ordering::AcqRel);
        task.answer();
    }
}

/// Operations that are carried out together.
type Batch = Vec<Box<dyn Task>>;

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
fn next_batch(waiting: &Receiver<Box<dyn Task>>) -> Option<Batch> {
    let mut batch = vec![waiting.recv().ok()?];
    batch.extend(waiting.try_iter().take(BATCH - 1));
    Some(batch)
}

fn transaction(db: &mut Connection, manner: Manner, batch: &mut [Box<dyn Task>]) -> Result<(), Fault> {
    let transaction = db.transaction_with_behavior(manner.behavior)?;
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

    const QUICK: Manner = Manner { behavior: TransactionBehavior::Immediate, is_slow: false };
    const SLOW: Manner = Manner { is_slow: true, ..QUICK };

    fn queue(manner: Manner) -> Queue {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE word (word TEXT NOT NULL)").unwrap();
        Queue::start("test", db, manner).unwrap()
    }

    /// The name of the thread that carries out what is asked.
    async fn thread(queue: &Queue) -> Option<String> {
        queue.run(&NOWHERE, |_| Ok(std::thread::current().name().map(str::to_owned))).await.unwrap()
    }

    #[test]
    fn who_asks_alone_carries_it_out_unless_the_disk_is_waited_for() {
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(block_on(thread(&queue(QUICK))), here);
        assert_eq!(block_on(thread(&queue(SLOW))).as_deref(), Some("test"));
    }

    #[test]
    fn who_asks_while_something_waits_leaves_it_to_the_thread() {
        let queue = queue(QUICK);
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        std::thread::scope(|scope| {
            let first = queue.run(&NOWHERE, move |_| {
                let _ = begun.send(());
                let _ = released.recv();
                Ok(())
            });
            scope.spawn(|| block_on(first).unwrap());
            has_begun.recv().unwrap();
            let second = thread(&queue);
            assert_eq!(block_on(async { join(second, async { drop(release) }).await.0 }).as_deref(), Some("test"));
        });
        let here = std::thread::current().name().map(str::to_owned);
        let asked = (0..2 * CROWD).position(|_| block_on(thread(&queue)) == here);
        assert!(asked.is_some_and(|asked| asked > CROWD / 2), "{asked:?} operations until nobody is expected to meet any more");
    }

    #[test]
    fn a_caller_waits_for_no_other_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let other = Connection::open(file.path()).unwrap();
        other.execute_batch("CREATE TABLE word (word TEXT NOT NULL); BEGIN IMMEDIATE").unwrap();
        let queue = Queue::start("test", Connection::open(file.path()).unwrap(), QUICK).unwrap();
        let asked = thread(&queue);
        let (carried_out, ()) = block_on(join(asked, async { other.execute_batch("COMMIT").unwrap() }));
        assert_eq!(carried_out.as_deref(), Some("test"));
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
        let queue = queue(SLOW);
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
    fn after_a_panic_whoever_asks_is_told() {
        for manner in [QUICK, SLOW] {
            let queue = queue(manner);
            let died = block_on(queue.run(&NOWHERE, |_| -> Result<(), Fault> { panic!("a bug") }));
            assert!(matches!(died, Err(Fault::Gone)), "{died:?}");
            let asked = block_on(queue.run(&NOWHERE, |_| Ok(())));
            assert!(matches!(asked, Err(Fault::Gone)), "{asked:?}");
        }
    }

    #[test]
    fn what_was_asked_is_done_before_the_queue_is_gone() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let db = Connection::open(path.path()).unwrap();
        db.execute_batch("CREATE TABLE word (word TEXT NOT NULL)").unwrap();
        let queue = Queue::start("test", db, SLOW).unwrap();
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
