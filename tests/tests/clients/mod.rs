//! Clients that change one instance each, and note what they were told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_api::types::{Accepted, On, StartRequest};
use mainstay_api::{Client, Exit, Problem};
use mainstay_tests::{Random, Witness};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What all clients shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// One change after the other.
    Busy,
    /// Nothing new: only what is open, until it is answered.
    Finish,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    Running,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Start,
    Stop,
    Restart,
    Panic,
    Check,
}

/// One client's book.
#[derive(Debug, Clone)]
struct Book {
    name: String,
    node: String,
    witness: PathBuf,
    wish: Wish,
    /// A change is under way, or was broken off and is tried again.
    open: bool,
    /// The highest revision a change was acknowledged with.
    revision: u64,
    acknowledged: usize,
    /// For the message when something is wrong.
    last: Option<Act>,
    panics_sent: usize,
    panics_answered: usize,
    /// An incarnation later than this one was promised.
    later_than: u64,
    /// It has not panicked since it was last started or restarted by us: the next restart comes at once.
    clean: bool,
}

/// Sums over all books.
#[derive(Debug, Default)]
pub struct Totals {
    pub acknowledged: usize,
    pub panics_sent: usize,
    pub panics_answered: usize,
}

pub struct Clients {
    phase: watch::Sender<Phase>,
    books: Vec<Arc<Mutex<Book>>>,
}

impl Clients {
    pub fn start(
        runtime: &Runtime,
        client: &Client,
        count: usize,
        nodes: usize,
        home: &Path,
    ) -> Self {
        let phase = watch::Sender::new(Phase::Finish);
        let books: Vec<Arc<Mutex<Book>>> = (0..count)
            .map(|at| {
                Arc::new(Mutex::new(Book {
                    name: format!("c{at}"),
                    node: format!("n{}", at % nodes + 1),
                    witness: home.join(format!("c{at}.witness")),
                    wish: Wish::Nothing,
                    open: false,
                    revision: 0,
                    acknowledged: 0,
                    last: None,
                    panics_sent: 0,
                    panics_answered: 0,
                    later_than: 0,
                    clean: true,
                }))
            })
            .collect();
        for (at, book) in books.iter().enumerate() {
            let one = One {
                client: client.clone(),
                book: Arc::clone(book),
                random: Random::new(at as u64 + 1),
            };
            runtime.spawn(one.live(phase.subscribe()));
        }
        Self { phase, books }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    fn each<T>(&self, look: impl Fn(&Book) -> T) -> Vec<T> {
        let look = |book: &Arc<Mutex<Book>>| look(&book.lock().expect("no client panics"));
        self.books.iter().map(look).collect()
    }

    pub fn busy(&self) -> usize {
        self.each(|book| book.open)
            .into_iter()
            .filter(|open| *open)
            .count()
    }

    pub fn wishes(&self) -> Vec<(String, Wish)> {
        self.each(|book| (format!("{}@{}", book.name, book.node), book.wish))
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for book in self.each(Book::clone) {
            totals.acknowledged += book.acknowledged;
            totals.panics_sent += book.panics_sent;
            totals.panics_answered += book.panics_answered;
        }
        totals
    }

    /// What the instances themselves wrote into their files is what their clients were promised.
    pub fn assert_books_are_right(&self, round: usize) {
        for book in self.each(Book::clone) {
            book.assert_right(round);
        }
    }
}

impl Book {
    /// The last incarnation that began, by its own word.
    fn begun(&self) -> u64 {
        incarnations(&self.witness).last().copied().unwrap_or(0)
    }

    fn assert_right(&self, round: usize) {
        let begun = incarnations(&self.witness);
        let rises = begun.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(
            rises,
            "after kill {round}, each incarnation begins once: {self:?} {begun:?}"
        );
        let lines = Witness::read(&self.witness).lines;
        let last = lines.last().map(|line| line[0].as_str());
        let (expected, promised) = match self.wish {
            Wish::Nothing => (None, true),
            Wish::Running => (Some("start"), self.begun() > self.later_than),
            // One that panicked and was stopped before it began again wrote nothing at its end.
            Wish::Stopped => (last.filter(|_| self.panics_sent > 0).or(Some("stop")), true),
        };
        assert_eq!(last, expected, "after kill {round}: {self:?} {lines:?}");
        assert!(
            promised,
            "after kill {round}, a restart was lost: {self:?} {begun:?}"
        );
        // Before each start lies the end of the one before it: its own stop, or a panic.
        let unstopped = lines
            .windows(2)
            .filter(|pair| pair[0][0] == "start" && pair[1][0] == "start")
            .count();
        assert!(
            unstopped <= self.panics_sent,
            "after kill {round}, one began beside another: {self:?} {lines:?}"
        );
    }
}

fn incarnations(witness: &Path) -> Vec<u64> {
    Witness::read(witness)
        .lines
        .iter()
        .filter(|line| line[0] == "start")
        .map(|line| line[3].parse().expect("an incarnation is a number"))
        .collect()
}

struct One {
    client: Client,
    book: Arc<Mutex<Book>>,
    random: Random,
}

impl One {
    async fn live(mut self, mut phase: watch::Receiver<Phase>) {
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Over => return,
                Phase::Busy => self.one_change().await,
                Phase::Finish => {
                    if phase.changed().await.is_err() {
                        return;
                    }
                }
            }
            // tidy: waits because people who change things pause between two changes
            tokio::time::sleep(Duration::from_millis(20 + self.random.below(100))).await;
        }
    }

    fn note(&self, note: impl FnOnce(&mut Book)) {
        note(&mut self.book.lock().expect("no client panics"));
    }

    fn read(&self) -> Book {
        self.book.lock().expect("no client panics").clone()
    }

    fn choose(&mut self) -> Act {
        let book = self.read();
        let any = self.random.below(10);
        match (book.wish, any) {
            (Wish::Nothing | Wish::Stopped, _) => Act::Start,
            (Wish::Running, 0..3) => Act::Stop,
            (Wish::Running, 3..6) => Act::Restart,
            (Wish::Running, 6..9) if book.clean => Act::Panic,
            (Wish::Running, _) => Act::Check,
        }
    }

    /// Until it is answered, for good or ill.
    async fn one_change(&mut self) {
        let act = self.choose();
        self.note(|book| book.open = true);
        match act {
            Act::Panic => self.panic().await,
            Act::Check => {
                let book = self.read();
                // Asked, not logged: without an answer nothing is promised.
                let _ = self.client.check(&book.node, &book.name).await;
            }
            Act::Start | Act::Stop | Act::Restart => self.until_acknowledged(act).await,
        }
        self.note(|book| book.open = false);
    }

    async fn panic(&mut self) {
        let book = self.read();
        self.note(|book| {
            book.panics_sent += 1;
            book.clean = false;
        });
        let text = json!({ "text": "as asked" });
        let answer = self
            .client
            .call(&book.node, &book.name, "panic", &text)
            .await;
        // It answers by failing: only then it is known to have heard.
        if answer.is_err_and(|problem| problem.why.contains("as asked")) {
            self.note(|book| book.panics_answered += 1);
        }
    }

    async fn until_acknowledged(&mut self, act: Act) {
        let before = self.read().begun();
        loop {
            match self.ask(act).await {
                Ok(accepted) => return self.acknowledged(act, before, &accepted),
                Err(problem) if is_passing(&problem) => {
                    // tidy: waits because the station is away
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(problem) => panic!("{act:?} was refused: {problem}"),
            }
        }
    }

    async fn ask(&self, act: Act) -> Result<Accepted, Problem> {
        let book = self.read();
        match act {
            Act::Start => {
                let request = StartRequest {
                    service_type: "flaky".to_owned(),
                    name: Some(book.name.clone()),
                    holds: None,
                    on: On::Nodes(vec![book.node.clone()]),
                    config: json!({ "witness": book.witness }),
                };
                self.client.start(&request).await
            }
            Act::Stop => self.client.stop(&book.node, &book.name).await,
            Act::Restart => self.client.restart(&book.node, &book.name).await,
            Act::Panic | Act::Check => unreachable!("not changes"),
        }
    }

    fn acknowledged(&self, act: Act, before: u64, accepted: &Accepted) {
        self.note(|book| {
            assert!(
                accepted.revision >= book.revision,
                "a revision that was acknowledged is gone: {book:?} {accepted:?}"
            );
            book.revision = accepted.revision;
            book.acknowledged += 1;
            book.last = Some(act);
            match act {
                Act::Restart => {
                    book.wish = Wish::Running;
                    book.clean = true;
                    book.later_than = before;
                }
                // Of a node that was not heard the Stop before may not have been carried out, and then the same one
                // lives on.
                Act::Start => {
                    book.wish = Wish::Running;
                    book.clean = true;
                    book.later_than = before.saturating_sub(1);
                }
                Act::Stop => book.wish = Wish::Stopped,
                Act::Panic | Act::Check => {}
            }
        });
    }
}

/// The station is away or has no leader: the same is asked again.
fn is_passing(problem: &Problem) -> bool {
    [Exit::NoServer, Exit::NoQuorum, Exit::TimedOut].contains(&problem.exit)
}
