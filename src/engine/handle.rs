//! The engine from outside: start it, send requests, receive events, stop at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use super::aside::{self, Aside};
use super::judging::{self, Judging};
use super::making::{self, Making};
use super::shared::{Shared, Teller};
use super::worker::{Work, Worker};
use super::{Event, Request};
use crate::model::Loader;
use crate::model::load::Checkpoints;
use crate::platform::Problem;

/// Requests that may wait; nobody sends more than one at a time.
const REQUESTS: usize = 64;
/// Events that may wait before the worker does.
const EVENTS: usize = 1024;

/// Starts engines.
pub struct Engine;

impl Engine {
    /// Starts the engine's threads over real checkpoints. `wake` is called after every event, from
    /// those threads.
    pub fn start(wake: impl Fn() + Send + Sync + 'static) -> Result<EngineHandle> {
        Self::start_with(Arc::new(Checkpoints), wake)
    }

    /// Starts the engine's threads around another loader. `wake` is called after every event, from those
    /// threads.
    pub fn start_with(
        loader: Arc<dyn Loader>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<EngineHandle> {
        let shared = Arc::new(Shared::default());
        let (work_in, work_out) = bounded(REQUESTS);
        let (aside_in, aside_out) = bounded(REQUESTS);
        let (events_in, events) = bounded(EVENTS);
        let teller = Teller { events: events_in, wake: Arc::new(wake) };

        let beside = (Arc::clone(&shared), Arc::clone(&loader), teller.clone(), work_in.clone());
        std::thread::Builder::new().name("tiller-aside".into()).spawn(move || {
            aside::run(&aside_out, &beside.0, beside.1.as_ref(), &beside.2, &beside.3);
        })?;
        let (judge, judge_out) = bounded(REQUESTS);
        let beside = (Arc::clone(&shared), Arc::clone(&loader), teller.clone());
        std::thread::Builder::new().name("tiller-judge".into()).spawn(move || {
            judging::run(&judge_out, &beside.0, beside.1.as_ref(), &beside.2);
        })?;
        let worker = Worker::new(Arc::clone(&shared), loader, teller.clone());
        std::thread::Builder::new()
            .name("tiller-engine".into())
            .spawn(move || worker.run(&work_out))?;
        Ok(EngineHandle { shared, work: work_in, aside: aside_in, judge, events, teller })
    }
}

/// The engine as the window and the headless verbs hold it. Dropping it ends what is under way
/// and the engine's threads.
pub struct EngineHandle {
    shared: Arc<Shared>,
    work: Sender<Work>,
    aside: Sender<Aside>,
    judge: Sender<Option<Box<Judging>>>,
    events: Receiver<Event>,
    teller: Teller,
}

impl EngineHandle {
    /// Hands a request over without waiting. Loads and replies are done one after the other in the
    /// order sent; counting, scanning and inspecting go on beside them.
    ///
    /// Errors when far too many requests wait already, or the engine has ended.
    pub fn send(&self, request: Request) -> Result<(), Problem> {
        match request {
            Request::Load { path, options } => {
                let number = self.shared.loads.next();
                self.work(Work::Load { number, path, options })
            }
            Request::Unload => self.work(Work::Unload),
            Request::Reply(request) => {
                let number = self.shared.replies.next();
                let asked = Instant::now();
                self.work(Work::Reply { number, asked, request })
            }
            Request::Replay { id, recipe, prompt, opening } => {
                let number = self.shared.replies.next();
                let asked = Instant::now();
                self.work(Work::Replay { number, asked, id, recipe, prompt, opening })
            }
            Request::SetPlan(plan) => {
                for vector in plan.vectors_in_play() {
                    if !self.shared.vectors.lock().held.contains(&vector.path) {
                        self.open_vector(vector.path.clone(), vector.any_base)?;
                    }
                }
                *self.shared.plan.lock() = Some((self.shared.replies.last(), plan));
                Ok(())
            }
            Request::Count { ticket, prompt } => self.aside(Aside::Count { ticket, prompt }),
            Request::Scan { folders } => self.aside(Aside::Scan { folders }),
            Request::InspectReward { path } => self.aside(Aside::InspectReward { path }),
            Request::InspectVector { path } => self.aside(Aside::InspectVector { path }),
            Request::LoadAligned { path } => {
                let number = self.shared.loads.next();
                self.work(Work::LoadAligned { number, path })
            }
            Request::DropAligned => self.work(Work::DropAligned),
            Request::Make(making) => self.make(*making, false),
            Request::EstimateMaking(making) => self.make(*making, true),
            Request::Measure(measures) => {
                self.shared.measures.store(measures, Ordering::SeqCst);
                Ok(())
            }
            Request::Identify { path } => self.aside(Aside::Identify { path }),
            Request::BuildStore { folder, files } => {
                let number = self.shared.builds.next();
                self.work(Work::BuildStore { order: (number, folder, files) })
            }
            Request::RemoveFromStore { folder, file } => {
                self.aside(Aside::RemoveFromStore { folder, file })
            }
            Request::RenameStore { folder, name } => {
                self.aside(Aside::RenameStore { folder, name })
            }
            Request::PauseBuilds(is_paused) => self.work(Work::PauseBuilds(is_paused)),
            Request::ReadAround { folder, file, passage, place } => {
                self.aside(Aside::ReadAround { folder, file, passage, place })
            }
            Request::ListStores { within, folders } => {
                self.aside(Aside::ListStores { within, folders })
            }
            Request::Judge(judging) => self.judge(Some(judging)),
            Request::DropJudge => self.judge(None),
            Request::Inspect { path } => self.aside(Aside::Inspect { path }),
            Request::AddVector { path, any_base } => self.open_vector(path, any_base),
            Request::RemoveVector { path } => self.work(Work::RemoveVector { path }),
        }
    }

    /// Ends the reply under way, and those sent but not begun, within one token.
    pub fn stop(&self) {
        self.shared.replies.call_off();
    }

    /// Cancels the load under way, and those sent but not begun.
    pub fn cancel_load(&self) {
        self.shared.loads.call_off();
    }

    /// Ends the builds of datastores, within one pass; what is done stays.
    pub fn cancel_builds(&self) {
        self.shared.builds.call_off();
        // A worker that waits for the end of a pause has to notice; one whose queue is full is at
        // work.
        self.work.try_send(Work::PauseBuilds(false)).ok();
    }

    /// The next event, if there is one already.
    pub fn try_recv(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits for the next event; `None` when the engine has ended.
    pub fn recv(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// Waits this long at most for the next event; an error when the engine has ended.
    pub fn wait(&self, timeout: Duration) -> Result<Option<Event>, Problem> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }

    /// Waits this long at most for the next event; `None` also when the engine has ended.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Ends what is being made; a training run was saved and can be taken up again.
    pub fn cancel_making(&self) {
        self.shared.makings.call_off();
    }

    fn make(&self, making: Making, only_estimates: bool) -> Result<(), Problem> {
        if self.shared.is_making.swap(true, Ordering::SeqCst) {
            let problem = Problem::new("something is being made already");
            return Err(problem.hint("wait for it, or cancel it"));
        }
        let (shared, teller) = (Arc::clone(&self.shared), self.teller.clone());
        let number = shared.makings.next();
        let thread = std::thread::Builder::new().name("tiller-making".into());
        let spawned = thread.spawn(move || {
            let goes_on = || !shared.making_is_off(number);
            let over = || shared.is_making.store(false, Ordering::SeqCst);
            match only_estimates {
                true => making::estimate(&making, &teller, &goes_on, over),
                false => making::run(&making, &teller, &goes_on, over),
            }
        });
        spawned.map(|_| ()).map_err(|error| {
            self.shared.is_making.store(false, Ordering::SeqCst);
            Problem::new(format!("no thread can be started: {error}"))
        })
    }

    fn open_vector(&self, path: PathBuf, any_base: bool) -> Result<(), Problem> {
        if !self.shared.vectors.lock().opening.insert(path.clone()) {
            return Ok(());
        }
        self.aside(Aside::OpenVector { path: path.clone(), any_base }).inspect_err(|_| {
            self.shared.vectors.lock().opening.remove(&path);
        })
    }

    fn work(&self, work: Work) -> Result<(), Problem> {
        self.work.try_send(work).map_err(|error| refusal(&error))
    }

    fn judge(&self, judging: Option<Box<Judging>>) -> Result<(), Problem> {
        self.judge.try_send(judging).map_err(|error| refusal(&error))
    }

    fn aside(&self, aside: Aside) -> Result<(), Problem> {
        self.aside.try_send(aside).map_err(|error| refusal(&error))
    }
}

impl Drop for EngineHandle {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
    }
}

fn refusal<T>(error: &TrySendError<T>) -> Problem {
    match error {
        TrySendError::Full(_) => {
            Problem::new("the engine has too much to do already").hint("stop it, or wait a moment")
        }
        TrySendError::Disconnected(_) => ended(),
    }
}

fn ended() -> Problem {
    Problem::new("the engine has ended").hint("start the program again")
}
