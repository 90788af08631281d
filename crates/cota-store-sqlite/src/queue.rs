//! A connection, and what it is to do: group commit.
//!
//! Whatever waits runs in one transaction and is answered after its end, so a hundred conversations share the price of one commit.
//! If anything fails the transaction is rolled back and each operation tried alone, so one that cannot be carried out spoils no
//! other. Whoever asks carries out what waits, unless somebody is at it already, who then does it next: to wake another thread
//! costs more than a small transaction. Only where more comes than a caller should do for others a thread goes on with it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cota_driver::failpoint::failpoint;
use futures_channel::oneshot;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::fault::Fault;

/// Most operations in one transaction: a bound on how long the first waits for the last.
const BATCH: usize = 256;

/// Transactions that a caller carries out: its own, and those of others who came meanwhile.
const COURTESY: usize = 2;

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

/// The connection and its thread. Dropping it waits until all that was asked is done.
pub(crate) struct Queue {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where operations wait, and are carried out.
struct Desk {
    connection: Mutex<Connection>,
    manner: Manner,
    waiting: Mutex<Vec<Box<dyn Task>>>,
    /// Whether nobody asks any more.
    closing: AtomicBool,
}

impl Queue {
    /// Starts a thread of this name.
    pub(crate) fn start(name: &str, connection: Connection, manner: Manner) -> io::Result<Self> {
        let (connection, waiting, closing) = (Mutex::new(connection), Mutex::default(), AtomicBool::new(false));
        let desk = Arc::new(Desk { connection, manner, waiting, closing });
        let of_thread = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A panic has spoiled the connection; what waits is told so.
            let _ = catch_unwind(AssertUnwindSafe(|| of_thread.serve())).inspect_err(|_| of_thread.give_up());
        })?;
        Ok(Self { desk, thread: Some(thread) })
    }

    /// Runs `work` in a transaction and answers once it is durable. It may run twice, the first time for nothing.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        failpoints: &'static Failpoints,
        work: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        self.desk.waiting().push(Box::new(Job { work, failpoints, result: Err(Fault::Gone), reply }));
        if !self.desk.help() {
            self.wake();
        }
        answer.await.unwrap_or(Err(Fault::Gone))
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.desk.closing.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    /// What a caller does: carries out what waits, unless somebody else is at it. Whether nothing is left for the thread.
    fn help(&self) -> bool {
        if self.manner.is_slow {
            return self.is_spoiled();
        }
        for _ in 0..COURTESY {
            // Whoever is at it looks for what waits after giving the connection back, and the two fences order it: either that look
            // finds what was put there before this one, or this finds the connection free.
            fence(Ordering::SeqCst);
            let Ok(mut db) = self.connection.try_lock() else {
                self.is_spoiled();
                return true;
            };
            let batch = self.next_batch();
            // A panic while the connection is locked spoils it for good: nobody knows what state it is in.
            let carried_out = catch_unwind(AssertUnwindSafe(move || carry_out(&mut db, self.manner, Duration::ZERO, batch)));
            match carried_out {
                Ok(Ok(done)) => done.into_iter().for_each(Task::answer),
                Ok(Err(left)) => {
                    self.waiting().splice(..0, left);
                    return false;
                }
                Err(_) => return self.is_spoiled(),
            }
            fence(Ordering::SeqCst);
            if self.waiting().is_empty() {
                return true;
            }
        }
        false
    }

    /// What the thread does.
    fn serve(&self) {
        loop {
            let Ok(mut db) = self.connection.lock() else { return self.give_up() };
            let (Ok(batch) | Err(batch)) = carry_out(&mut db, self.manner, BUSY, self.next_batch());
            drop(db);
            batch.into_iter().for_each(Task::answer);
            fence(Ordering::SeqCst);
            if self.waiting().is_empty() {
                if self.closing.load(Ordering::Acquire) {
                    return;
                }
                std::thread::park();
            }
        }
    }

    fn next_batch(&self) -> Vec<Box<dyn Task>> {
        let mut waiting = self.waiting();
        let next = waiting.len().min(BATCH);
        waiting.drain(..next).collect()
    }

    /// Whether the connection can be used no more; then whoever waits is told.
    fn is_spoiled(&self) -> bool {
        let is_spoiled = self.connection.is_poisoned();
        if is_spoiled {
            self.give_up();
        }
        is_spoiled
    }

    fn give_up(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Box<dyn Task>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Carries a batch out, to be answered once nobody is kept from the connection any more. Without patience it is given back where
/// another process is writing.
fn carry_out(
    db: &mut Connection,
    manner: Manner,
    patience: Duration,
    mut batch: Vec<Box<dyn Task>>,
) -> Result<Vec<Box<dyn Task>>, Vec<Box<dyn Task>>> {
    if batch.is_empty() {
        return Ok(batch);
    }
    let done = db.busy_timeout(patience).map_err(Fault::from).and_then(|()| transaction(db, manner, &mut batch));
    match (done, batch.as_mut_slice()) {
        (Ok(()), _) => {}
        (Err(fault), _) if patience.is_zero() && is_busy(&fault) => return Err(batch),
        (Err(fault), [only]) => only.fail(fault),
        (Err(_), several) => {
            for task in several {
                if let Err(fault) = transaction(db, manner, std::slice::from_mut(task)) {
                    task.fail(fault);
                }
            }
        }
    }
    Ok(batch)
}

fn is_busy(fault: &Fault) -> bool {
    matches!(fault, Fault::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
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
    use std::sync::atomic::AtomicU32;
    use std::sync::mpsc;

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
    fn whoever_is_at_it_does_what_comes_meanwhile() {
        let queue = queue(QUICK);
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        std::thread::scope(|scope| {
            let first = queue.run(&NOWHERE, move |_| {
                let _ = begun.send(());
                let _ = released.recv();
                Ok(())
            });
            std::thread::Builder::new().name("first".to_owned()).spawn_scoped(scope, || block_on(first).unwrap()).unwrap();
            has_begun.recv().unwrap();
            let second = thread(&queue);
            assert_eq!(block_on(async { join(second, async { drop(release) }).await.0 }).as_deref(), Some("first"));
        });
    }

    #[test]
    fn nothing_is_left_waiting_however_many_ask() {
        for manner in [QUICK, SLOW] {
            let queue = queue(manner);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..500).for_each(|_| drop(block_on(queue.run(&NOWHERE, |_| Ok(()))).unwrap())));
                }
            });
        }
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
