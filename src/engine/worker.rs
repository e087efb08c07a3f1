//! The engine's one worker: owns the model, does loads and replies one after the other, and
//! survives whatever happens in them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::{Receiver, TryRecvError};

use super::building::{Builds, Order};
use super::guides::GuideShelf;
use super::job::Job;
use super::pair::Pair;
use super::reply;
use super::reward::Rewarder;
use super::shared::{Shared, Teller};
use super::stores::StoreShelf;
use super::vectors::Shelf;
use super::{Event, Opening, Prompt, Recipe, ReplyRequest, mixing};
use crate::decode::{Knobs, Meter, Passes};
use crate::model::{DoesNotFit, LoadOptions, Loader, Model};
use crate::platform::{Cancelled, Problem};

/// Between two reports of a load's progress.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// What the worker does, in the order sent.
pub enum Work {
    Load {
        number: u64,
        path: PathBuf,
        options: LoadOptions,
    },
    Unload,
    /// Vectors have arrived in `Shared`.
    TakeVectors,
    BuildStore {
        order: Order,
    },
    /// Builds wait, or go on.
    PauseBuilds(bool),
    RemoveVector {
        path: PathBuf,
    },
    LoadAligned {
        number: u64,
        path: PathBuf,
    },
    DropAligned,
    Reply {
        number: u64,
        asked: Instant,
        request: Box<ReplyRequest>,
    },
    Replay {
        number: u64,
        asked: Instant,
        id: u64,
        recipe: Box<Recipe>,
        prompt: Prompt,
        opening: Opening,
    },
}

/// The state of the worker thread.
pub struct Worker {
    shared: Arc<Shared>,
    loader: Arc<dyn Loader>,
    teller: Teller,
    model: Option<Model>,
    state: State,
    builds: Builds,
}

/// What belongs to the model in memory beside its weights.
#[derive(Default)]
pub struct State {
    /// How the model's cache came to be.
    pub passes: Passes,
    /// The vectors opened for it.
    pub shelf: Shelf,
    /// Which of them are attached and what they are set to.
    pub knobs: Knobs,
    /// How it was loaded.
    pub options: LoadOptions,
    /// The aligned model it is mixed with.
    pub pair: Pair,
    /// Measures how far from the base it is, while that is asked for.
    pub meter: Option<Meter>,
    /// The reward adapter beside it.
    pub rewarder: Rewarder,
    /// The datastores opened for it.
    pub stores: StoreShelf,
    /// Guides and scorers beside it.
    pub guides: GuideShelf,
}

impl Worker {
    /// A worker with no model.
    pub fn new(shared: Arc<Shared>, loader: Arc<dyn Loader>, teller: Teller) -> Self {
        Self {
            shared,
            loader,
            teller,
            model: None,
            state: State::default(),
            builds: Builds::default(),
        }
    }

    /// Works until the handle is gone.
    pub fn run(mut self, requests: &Receiver<Work>) {
        loop {
            let next = match self.builds.is_idle() {
                true => requests.recv().map_err(|_| TryRecvError::Disconnected),
                false => requests.try_recv(),
            };
            let work = match next {
                Ok(work) => work,
                Err(TryRecvError::Empty) => {
                    self.build();
                    continue;
                }
                Err(TryRecvError::Disconnected) => return,
            };
            self.take_vectors();
            match work {
                Work::TakeVectors => {}
                Work::LoadAligned { number, path } => self.load_aligned(number, path),
                Work::DropAligned => {
                    self.state.pair.drop_model();
                    self.teller.tell(Event::AlignedDropped);
                }
                Work::PauseBuilds(is_paused) => self.builds.pause(is_paused),
                Work::BuildStore { order } if self.model.is_some() => self.builds.add(order),
                Work::BuildStore { order: (_, folder, _) } => {
                    let problem = Problem::new("no model is loaded").hint("choose a model first");
                    self.teller.tell(Event::StoreFailed { folder, message: problem.to_string() });
                }
                Work::RemoveVector { path } => self.remove_vector(path),
                Work::Load { number, path, options } => self.load(number, path, &options),
                Work::Unload => self.unload(),
                Work::Reply { number, asked, request } => {
                    let id = request.id;
                    self.reply(id, |_| Ok(Job::new(number, asked, *request)));
                }
                Work::Replay { number, asked, id, recipe, prompt, opening } => {
                    self.reply(id, |model| {
                        Job::replay(number, asked, id, &recipe, prompt, opening, &model.facts)
                    });
                }
            }
        }
    }

    /// One pass for the datastores under way. Whatever happens in it costs that build alone.
    fn build(&mut self) {
        let Some(model) = &mut self.model else {
            return self.builds.end("the model was unloaded", &self.teller);
        };
        let (builds, state) = (&mut self.builds, &mut self.state);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            builds.advance(model, state, &self.shared, &self.teller);
        }));
        if let Err(panic) = outcome {
            let why = format!("the build broke off: {}", panic_message(&*panic));
            self.builds.end(&why, &self.teller);
        }
    }

    fn take_vectors(&mut self) {
        let State { shelf, knobs, .. } = &mut self.state;
        match &mut self.model {
            Some(model) => shelf.take_arrivals(model, knobs, &self.shared, &self.teller),
            None => {
                self.shared.arrivals.lock().clear();
                self.shared.vectors.lock().opening.clear();
            }
        }
    }

    fn remove_vector(&mut self, path: PathBuf) {
        if let Some(model) = &mut self.model
            && let Err(error) = self.state.shelf.remove(&path, model, &mut self.state.knobs)
        {
            tracing::warn!("a vector could not be taken away: {error:#}");
        }
        self.state.shelf.publish(&self.shared);
        self.teller.tell(Event::VectorRemoved { path });
    }

    fn load_aligned(&mut self, number: u64, path: PathBuf) {
        let (loader, shared) = (self.loader.as_ref(), self.shared.as_ref());
        let State { pair, options, .. } = &mut self.state;
        let Some(base) = &self.model else {
            let problem = Problem::new("no model is loaded").hint("choose a model first");
            self.teller.tell(Event::AlignedFailed { path, message: problem.to_string() });
            return;
        };
        let goes_on = || !shared.load_is_off(number);
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            mixing::load(pair, &path, base, options, loader, &self.teller, &goes_on)
        }));
        match loaded {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!("no model to mix with: {error:#}"),
            Err(panic) => {
                pair.drop_model();
                let message = format!("loading broke off: {}", panic_message(&*panic));
                self.teller.tell(Event::AlignedFailed { path, message });
            }
        }
    }

    fn unload(&mut self) {
        *self.shared.language.write() = None;
        *self.shared.facts.write() = None;
        self.model = None;
        self.builds.pause(false);
        self.state = State::default();
        self.state.shelf.publish(&self.shared);
        self.teller.tell(Event::Unloaded);
    }

    fn load(&mut self, number: u64, path: PathBuf, options: &LoadOptions) {
        let loaded = catch_unwind(AssertUnwindSafe(|| self.read(number, &path, options)));
        match loaded {
            Ok(Ok(model)) => {
                *self.shared.language.write() = Some(Arc::clone(&model.language));
                *self.shared.facts.write() = Some(Arc::new(model.facts.clone()));
                let facts = Box::new(model.facts.clone());
                self.model = Some(model);
                self.state = State { options: options.clone(), ..State::default() };
                self.builds.end("another model was loaded; build it again for that", &self.teller);
                self.state.shelf.publish(&self.shared);
                self.teller.tell(Event::Loaded(facts));
            }
            Ok(Err(error)) => {
                let cancelled = error.is::<Cancelled>();
                let mut message = format!("{error:#}");
                if let (Some(short), Some(held)) = (error.downcast_ref(), &self.model) {
                    message += &room_if_unloaded(short, held);
                }
                self.teller.tell(Event::LoadFailed { path, message, cancelled });
            }
            Err(panic) => {
                let message = format!("loading broke off: {}", panic_message(&*panic));
                self.teller.tell(Event::LoadFailed { path, message, cancelled: false });
            }
        }
    }

    fn read(&self, number: u64, path: &Path, options: &LoadOptions) -> Result<Model> {
        let started = Instant::now();
        let mut reported: Option<Instant> = None;
        let mut progress = |bytes_done: u64, bytes_total: u64| {
            let last = bytes_done >= bytes_total;
            if last || reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                reported = Some(Instant::now());
                let secs = started.elapsed().as_secs_f64();
                let bytes_per_sec = if secs > 0.0 { bytes_done as f64 / secs } else { 0.0 };
                let path = path.to_path_buf();
                let event = Event::LoadProgress { path, bytes_done, bytes_total, bytes_per_sec };
                self.teller.tell(event);
            }
            !self.shared.load_is_off(number)
        };
        if !progress(0, 0) {
            return Err(Cancelled.into());
        }
        let model = self.loader.load(path, options, &mut progress)?;
        if self.shared.load_is_off(number) {
            return Err(Cancelled.into());
        }
        Ok(model)
    }

    fn reply(&mut self, id: u64, job: impl FnOnce(&Model) -> Result<Job>) {
        let Some(model) = &mut self.model else {
            let problem = Problem::new("no model is loaded").hint("choose a model first");
            self.teller.tell(Event::ReplyFailed { id, message: problem.to_string() });
            return;
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let job = job(model)?;
            reply::run(
                job,
                model,
                &mut self.state,
                self.loader.as_ref(),
                &self.shared,
                &self.teller,
            )
        }));
        let message = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => format!("the reply broke off: {}", panic_message(&*panic)),
        };
        // A pass that failed half-way may have left the cache half-written: start it anew. What
        // was refused before the first pass left it as it was.
        let passes = &mut self.state.passes;
        let cleared = catch_unwind(AssertUnwindSafe(|| {
            if passes.positions() == model.runner.len() {
                return Ok(());
            }
            *passes = Passes::default();
            model.runner.truncate(0)
        }));
        self.teller.tell(Event::ReplyFailed { id, message });
        if !matches!(cleared, Ok(Ok(()))) {
            self.unload();
        }
    }
}

fn room_if_unloaded(short: &DoesNotFit, held: &Model) -> String {
    let held_bytes = held.facts.weight_bytes + held.facts.cache_bytes;
    if short.needed <= short.free + held_bytes {
        format!("; or unload {} first, then it fits", held.facts.name)
    } else {
        String::new()
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "an unknown error".to_owned())
}
