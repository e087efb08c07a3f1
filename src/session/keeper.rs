//! The thread that keeps conversations: asks in, answers out, over bounded channels. Whoever asks
//! never waits; what was asked is done even when the program closes right after.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use parking_lot::Mutex;

use super::ask::{Answer, Ask};
use super::desk::Desk;
use crate::platform::Problem;

/// Asks and answers under way before somebody has to hold them back.
const CHANNEL_LENGTH: usize = 256;

/// How long to wait before trying again what the disk refused.
const RETRY: Duration = Duration::from_secs(3);

/// The handle on the thread. Dropping it closes it.
pub struct Keeper {
    asks: Option<Sender<Ask>>,
    answers: Receiver<Answer>,
    /// Asks that found the channel full: never dropped, never waited for.
    held_back: Mutex<VecDeque<Ask>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread `tiller-session` on the database at `path`; its first answer is
    /// `Answer::Ready`. `wake` is called after each answer.
    pub fn start(path: PathBuf, wake: impl Fn() + Send + 'static) -> Result<Self> {
        let (asks, asked) = bounded(CHANNEL_LENGTH);
        let (tell, answers) = bounded(CHANNEL_LENGTH);
        let thread = std::thread::Builder::new()
            .name("tiller-session".into())
            .spawn(move || {
                // Nobody listens any more once the handle is gone; the work is done nonetheless.
                run(path, &asked, |answer| {
                    tell.send(answer).ok();
                    wake();
                });
            })
            .context("the thread that keeps conversations does not start")?;
        Ok(Self {
            asks: Some(asks),
            answers,
            held_back: Mutex::new(VecDeque::new()),
            thread: Some(thread),
        })
    }

    /// Asks for something. Returns at once.
    pub fn send(&self, ask: Ask) {
        let mut held_back = self.held_back.lock();
        held_back.push_back(ask);
        self.pass_on(&mut held_back);
    }

    /// The next answer, if there is one. Returns at once.
    pub fn try_recv(&self) -> Option<Answer> {
        self.pass_on(&mut self.held_back.lock());
        self.answers.try_recv().ok()
    }

    /// The next answer, waited for at most this long: for tests and headless use.
    pub fn recv_timeout(&self, limit: Duration) -> Option<Answer> {
        self.pass_on(&mut self.held_back.lock());
        self.answers.recv_timeout(limit).ok()
    }

    /// Finishes what was asked and ends the thread; gives the answers nobody fetched.
    pub fn close(mut self) -> Vec<Answer> {
        self.shut()
    }

    fn pass_on(&self, held_back: &mut VecDeque<Ask>) {
        let Some(asks) = &self.asks else { return };
        while let Some(ask) = held_back.pop_front() {
            match asks.try_send(ask) {
                Ok(()) => {}
                Err(TrySendError::Full(ask) | TrySendError::Disconnected(ask)) => {
                    held_back.push_front(ask);
                    return;
                }
            }
        }
    }

    fn shut(&mut self) -> Vec<Answer> {
        let mut unheard = Vec::new();
        // Answers are taken meanwhile, or the thread would wait for room to put them.
        loop {
            self.pass_on(&mut self.held_back.lock());
            if self.held_back.lock().is_empty() {
                break;
            }
            match self.answers.recv_timeout(Duration::from_millis(50)) {
                Ok(answer) => unheard.push(answer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.asks = None;
        while let Ok(answer) = self.answers.recv() {
            unheard.push(answer);
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that keeps conversations had ended in a fault");
        }
        unheard
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shut();
    }
}

fn run(path: PathBuf, asked: &Receiver<Ask>, tell: impl Fn(Answer)) {
    let mut desk = match Desk::open(path) {
        Ok((desk, ready)) => {
            tell(Answer::Ready(ready));
            desk
        }
        Err(problem) => {
            tell(Answer::Failed { problem, waiting: 0 });
            return;
        }
    };
    let mut queue = VecDeque::new();
    loop {
        queue.extend(asked.try_iter());
        let next = match queue.pop_front() {
            // Whoever types goes on typing while a search is under way.
            Some(Ask::Search { .. }) if queue.iter().any(is_search) => continue,
            Some(ask) => Ok(ask),
            None if desk.is_waiting() => asked.recv_timeout(RETRY),
            None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        // A fault in one wish must not take the following ones with it.
        let told = catch_unwind(AssertUnwindSafe(|| match next {
            Ok(ask) => Some(desk.handle(ask)),
            Err(RecvTimeoutError::Timeout) => Some(desk.retry()),
            Err(RecvTimeoutError::Disconnected) => None,
        }));
        match told {
            Ok(Some(told)) => told.into_iter().for_each(&tell),
            Ok(None) => break,
            Err(_) => {
                let problem = Problem::new("a fault in Tiller: something was not kept");
                let problem = problem.at(desk.path()).hint("the log has the report");
                tell(Answer::Failed { problem, waiting: 0 });
            }
        }
    }
    if desk.is_waiting() {
        desk.retry().into_iter().for_each(&tell);
        if desk.is_waiting() {
            tracing::error!("closing with changes that could not be kept");
        }
    }
}

fn is_search(ask: &Ask) -> bool {
    matches!(ask, Ask::Search { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::session::{ConversationId, Node, NodeId, NodeState, Role};

    #[test]
    fn closing_finishes_what_was_asked_however_much_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiller.db");
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = woken.clone();
        let keeper = Keeper::start(path.clone(), move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        let conversation = ConversationId::fresh();
        let mut parent = None;
        // More than both channels hold, and nobody fetches an answer meanwhile.
        for number in 0..2 * CHANNEL_LENGTH {
            let id = NodeId::fresh();
            let node = Node {
                id,
                parent,
                role: Role::User,
                content: format!("message {number}"),
                state: NodeState::Finished,
                created_ms: 1,
                tokens: Vec::new(),
                recipe: None,
                outcome: None,
            };
            keeper.send(Ask::PutNode { conversation, node: Box::new(node) });
            parent = Some(id);
        }
        let unheard = keeper.close();
        assert!(matches!(unheard[0], Answer::Ready(_)));
        let kept = unheard.iter().filter(|answer| matches!(answer, Answer::Kept(_))).count();
        assert_eq!(kept, 2 * CHANNEL_LENGTH);
        assert_eq!(woken.load(Ordering::Relaxed), unheard.len());

        let keeper = Keeper::start(path, || {}).unwrap();
        keeper.send(Ask::Open(conversation));
        let answers: Vec<_> =
            std::iter::from_fn(|| keeper.recv_timeout(Duration::from_secs(60))).take(2).collect();
        let Answer::Opened(found) = &answers[1] else { panic!("{answers:?}") };
        assert_eq!(found.tree.active_path().len(), 2 * CHANNEL_LENGTH);
    }

    #[test]
    fn of_the_searches_that_wait_only_the_last_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let (asks, asked) = bounded(CHANNEL_LENGTH);
        for ticket in 1..=3 {
            asks.send(Ask::Search { ticket, query: "word".into(), limit: 9 }).unwrap();
        }
        asks.send(Ask::Draft).unwrap();
        asks.send(Ask::Search { ticket: 4, query: "words".into(), limit: 9 }).unwrap();
        drop(asks);
        let answers = parking_lot::Mutex::new(Vec::new());
        run(folder.path().join("tiller.db"), &asked, |answer| answers.lock().push(answer));
        let answers = answers.into_inner();
        let told = [Answer::Draft(String::new()), Answer::Found { ticket: 4, hits: vec![] }];
        assert_eq!(answers[1..], told);
    }
}
