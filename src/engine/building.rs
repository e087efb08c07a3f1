//! Datastores built beside the chat: one pass whenever the worker has nothing else to do, so that a
//! reply waits for one pass at most.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Event;
use super::shared::{Shared, Teller};
use super::worker::State;
use crate::decode::{Mix, Passes};
use crate::model::Model;
use crate::platform::Problem;
use crate::steer::datastore::build::{Advance, Builder};
use crate::steer::datastore::{Manifest, SourceState};

/// Between two reports of a build's progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A store to build: its number, its folder, the files to add.
pub type Order = (u64, PathBuf, Vec<PathBuf>);

/// Builds under way and waiting.
#[derive(Default)]
pub struct Builds {
    waiting: VecDeque<Order>,
    now: Option<Building>,
    is_paused: bool,
}

struct Building {
    number: u64,
    folder: PathBuf,
    builder: Builder,
    /// Time spent in passes, which replies do not count towards.
    spent: Duration,
    reported: Option<Instant>,
}

impl Builds {
    /// There is nothing to be done now: nothing is under way or waiting, or all of it is paused.
    pub fn is_idle(&self) -> bool {
        self.is_paused || (self.now.is_none() && self.waiting.is_empty())
    }

    /// Holds what is under way as it is, in the middle of a file too.
    pub fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Whoever adds something wants it done: a pause is over.
    pub fn add(&mut self, order: Order) {
        self.is_paused = false;
        self.waiting.push_back(order);
    }

    /// Ends all of them: their model is gone. What is done stays.
    pub fn end(&mut self, why: &str, teller: &Teller) {
        self.is_paused = false;
        let folders = self.now.take().map(|now| now.folder).into_iter();
        for folder in folders.chain(self.waiting.drain(..).map(|(_, folder, _)| folder)) {
            teller.tell(Event::StoreFailed { folder, message: why.to_owned() });
        }
    }

    /// One pass at most.
    pub fn advance(
        &mut self,
        model: &mut Model,
        state: &mut State,
        shared: &Shared,
        teller: &Teller,
    ) {
        if self.now.is_none()
            && let Some((number, folder, files)) = self.waiting.pop_front()
        {
            match Builder::begin(&folder, &model.facts, &files) {
                Ok(builder) => {
                    tell_list(&builder, false, teller);
                    let (spent, reported) = (Duration::ZERO, None);
                    self.now = Some(Building { number, folder, builder, spent, reported });
                }
                Err(problem) => {
                    let message = problem.to_string();
                    teller.tell(Event::StoreFailed { folder, message });
                }
            }
        }
        let Some(now) = &mut self.now else { return };
        if shared.build_is_off(now.number) {
            tell_list(&now.builder, true, teller);
            self.now = None;
            return;
        }
        match now.advance(model, state, teller) {
            Ok(false) => {}
            Ok(true) => self.now = None,
            Err(error) => {
                let (folder, message) = (now.folder.clone(), format!("{error:#}"));
                teller.tell(Event::StoreFailed { folder, message });
                self.now = None;
            }
        }
    }
}

impl Building {
    /// True when it is over.
    fn advance(&mut self, model: &mut Model, state: &mut State, teller: &Teller) -> Result<bool> {
        let started = Instant::now();
        // Keys are the plain model's.
        state.knobs.set(model.runner.as_mut(), &Mix::default())?;
        // What chats had read is forgotten with the first pass.
        state.passes = Passes::default();
        let advance = self.builder.advance(&model.language, model.runner.as_mut());
        self.spent += started.elapsed();
        match advance? {
            Advance::Reading(_) | Advance::Measuring => {}
            Advance::Passed(standing) => {
                if self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                    self.reported = Some(Instant::now());
                    let secs = self.spent.as_secs_f64().max(1e-9);
                    let tokens_per_sec = standing.tokens_fed as f64 / secs;
                    let (folder, standing) = (self.folder.clone(), Box::new(standing));
                    teller.tell(Event::StoreProgress { folder, standing, tokens_per_sec });
                }
            }
            Advance::Settled(_) => tell_list(&self.builder, false, teller),
            Advance::Finished => {
                tell_list(&self.builder, true, teller);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn tell_list(builder: &Builder, is_over: bool, teller: &Teller) {
    let folder = builder.folder().to_path_buf();
    let manifest = Box::new(builder.manifest().clone());
    teller.tell(Event::StoreListed { folder, manifest, is_over });
}

/// A store's folder and its list, or why it cannot be read.
pub type Listed = (PathBuf, Result<Box<Manifest>, String>);

/// The stores in a folder of stores, and one by one those of these folders.
pub fn listed(within: &Path, folders: &[PathBuf]) -> Vec<Listed> {
    let entries = std::fs::read_dir(within).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join("store.json").is_file())
        .collect();
    all.sort();
    all.extend(folders.iter().filter(|folder| !folder.starts_with(within)).cloned());
    all.dedup();
    let read = |folder: PathBuf| {
        let manifest =
            Manifest::read(&folder).map_err(|problem| problem.to_string()).and_then(|manifest| {
                let missing = || Problem::new("there is no datastore in this folder").at(&folder);
                let mut manifest = manifest.ok_or_else(|| missing().to_string())?;
                // What has lost its file is to be made again; the next build does.
                for source in &mut manifest.sources {
                    if source.is_done() && !Manifest::file_of(&folder, source).is_file() {
                        source.state = SourceState::Waiting;
                    }
                }
                Ok(Box::new(manifest))
            });
        (folder, manifest)
    };
    all.into_iter().map(read).collect()
}
