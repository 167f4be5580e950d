//! The committer: the one thread that syncs. It drains what waits, syncs the write-ahead log once, completes all.

use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use mainstay_protocol::limits;

use crate::config::Syncing;
use crate::db::Db;
use crate::fatal;

/// Told once what was written before is durable.
pub(crate) type Completion = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Where completions are handed in. What they complete must have been written before.
#[derive(Clone)]
pub(crate) struct Committer(Sender<Completion>);

impl Committer {
    /// It ends when every handle is gone.
    pub(crate) fn start(db: Db, syncing: Syncing) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = bounded(limits::COMMIT_QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("mainstay-commit".to_owned())
            .spawn(move || run(&db, syncing, &receiver))?;
        Ok((Self(sender), thread))
    }

    pub(crate) fn after_sync(&self, completion: Completion) -> io::Result<()> {
        self.0
            .send(completion)
            .map_err(|_| io::Error::other("the committer has ended"))
    }
}

fn run(db: &Db, syncing: Syncing, queue: &Receiver<Completion>) {
    let mut waiting: Vec<Completion> = Vec::new();
    while let Ok(first) = queue.recv() {
        waiting.push(first);
        waiting.extend(queue.try_iter().take(limits::COMMIT_QUEUE_MAX));
        if syncing == Syncing::Always
            && let Err(error) = db.sync()
        {
            fatal::storage_failed("syncing the log", &error);
        }
        for completion in waiting.drain(..) {
            completion(Ok(()));
        }
    }
}
