//! Building a store: file by file, pass by pass, so that whoever drives it can do other things in
//! between, stop at any moment and go on later with what is not done yet.

mod choices;
mod indexing;
mod measure;
mod pieces;
mod reader;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use choices::{Asked, asked, letter, letter_id};
pub use measure::NEUTRAL;
pub use pieces::{Piece, Pieces, WINDOW, WORN};
pub use sources::remove;

use super::approximate::INDEX_FROM;
use super::segment::{Lead, Segment, SegmentWriter};
use super::{Manifest, Source, SourceState, StoreFacts};
use crate::documents::{Document, Origin};
use crate::model::{Language, ModelFacts, Runner, Wanted};
use crate::platform::{Problem, atomic};
use indexing::Indexing;
use measure::Measuring;
use reader::Reader;
use sources::{done, open_or_new};

/// Tokens fed in one pass.
pub const CHUNK: usize = 256;

/// A build under way.
pub struct Builder {
    folder: PathBuf,
    manifest: Manifest,
    reader: Reader,
    filling: Option<Filling>,
    measuring: Option<Measuring>,
    indexing: Option<Indexing>,
    index_from: usize,
    changed: bool,
    total: usize,
    done: usize,
    tokens_fed: u64,
}

/// A source that is being passed through the model.
struct Filling {
    id: String,
    origin: Origin,
    notes: Vec<String>,
    format: &'static str,
    pieces: VecDeque<Piece>,
    /// Ids of the first piece that have been fed, and positions of it that were taken as keys or
    /// passed over.
    fed: usize,
    seen: usize,
    tokens_done: usize,
    tokens_total: usize,
    writer: SegmentWriter,
}

/// What one advance brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Advance {
    /// A file is being read; nothing was passed through the model.
    Reading(PathBuf),
    /// A chunk of a file was.
    Passed(Standing),
    /// A file is done, or cannot be: its state says.
    Settled(Box<Source>),
    /// Distances are being measured.
    Measuring,
    Finished,
}

/// How far a build is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    pub path: PathBuf,
    /// Tokens of this file passed through the model, of how many.
    pub tokens_done: usize,
    pub tokens_total: usize,
    /// Files settled, of how many that had anything to be done.
    pub files_done: usize,
    pub files_total: usize,
    /// Tokens passed since the build began.
    pub tokens_fed: u64,
}

impl Builder {
    /// Begins to build a store in a folder, or goes on with the one that is there: these files are
    /// added, those that have changed are made again, those that failed are tried again.
    ///
    /// # Errors
    /// When the folder holds something else, or a store made with another model.
    pub fn begin(folder: &Path, model: &ModelFacts, files: &[PathBuf]) -> Result<Self, Problem> {
        let mut manifest = open_or_new(folder, model)?;
        let sources = folder.join("sources");
        std::fs::create_dir_all(&sources).map_err(|error| {
            Problem::new(format!("the folder cannot be made: {error}")).at(&sources)
        })?;
        for path in files {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let source = Source::waiting(&path);
            if manifest.source_mut(&source.id).is_none() {
                manifest.sources.push(source);
            }
        }
        for source in &mut manifest.sources {
            let file = Manifest::file_of(folder, source);
            atomic::remove_half_written(&file)?;
            let facts = &manifest.facts;
            let usable = Segment::open(&file, &facts.model_fingerprint, facts.hidden_size)
                .is_ok_and(|held| held.hash == source.hash && held.len() == source.entries);
            let there = crate::documents::looked_at(&source.path).is_some();
            if !source.is_done() || !usable || (there && source.is_outdated()) {
                source.state = SourceState::Waiting;
            }
        }
        manifest.write(folder)?;
        let waiting: Vec<&Source> =
            manifest.sources.iter().filter(|s| s.state == SourceState::Waiting).collect();
        let total = waiting.len();
        let reader =
            Reader::start(waiting.iter().map(|s| (s.id.clone(), s.path.clone())).collect())?;
        Ok(Self {
            folder: folder.to_path_buf(),
            changed: total > 0 || manifest.calibration.is_none(),
            manifest,
            reader,
            filling: None,
            measuring: None,
            indexing: None,
            index_from: INDEX_FROM,
            total,
            done: 0,
            tokens_fed: 0,
        })
    }

    /// The list as it stands.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the store lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One pass of the model at most. What the runner's cache held is forgotten.
    ///
    /// # Errors
    /// When a pass fails or the list cannot be written; what is done stays done.
    pub fn advance(&mut self, language: &Language, runner: &mut dyn Runner) -> Result<Advance> {
        if self.filling.is_some() {
            return self.pass(runner);
        }
        if let Some((id, outcome)) = self.reader.next() {
            return match outcome {
                Some(outcome) => self.take(&id, outcome, language, runner),
                None => {
                    let path = self.manifest.source_mut(&id).map(|source| source.path.clone());
                    Ok(Advance::Reading(path.unwrap_or_default()))
                }
            };
        }
        if self.changed {
            let measuring = match &mut self.measuring {
                Some(measuring) => measuring,
                None => self.measuring.insert(Measuring::begin(&self.folder, language, runner)?),
            };
            if let Some(measured) = measuring.advance(language, runner)? {
                self.manifest.calibration = measured.calibration;
                self.manifest.by_itself = measured.by_itself;
                self.manifest.write(&self.folder)?;
                (self.changed, self.measuring) = (false, None);
            }
            return Ok(Advance::Measuring);
        }
        if indexing::is_wanted(&self.manifest, self.index_from) {
            if let Err(error) = self.index() {
                // Without a graph the store answers all the same, only later.
                tracing::warn!("{error:#}");
                (self.indexing, self.index_from) = (None, usize::MAX);
            }
            return Ok(Advance::Measuring);
        }
        Ok(Advance::Finished)
    }

    /// Stores of this many entries and more get a graph over them.
    #[must_use]
    pub fn with_index_from(mut self, entries: usize) -> Self {
        self.index_from = entries;
        self
    }

    fn index(&mut self) -> Result<()> {
        let indexing = match &mut self.indexing {
            Some(indexing) => indexing,
            None => self.indexing.insert(Indexing::begin(&self.folder)?),
        };
        if let Some(facts) = indexing.advance()? {
            self.indexing = None;
            self.manifest.index = Some(facts);
            self.manifest.write(&self.folder)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        id: &str,
        outcome: Result<(Origin, Document), Problem>,
        language: &Language,
        runner: &dyn Runner,
    ) -> Result<Advance> {
        let begun = outcome.map_err(anyhow::Error::from).and_then(|(origin, document)| {
            self.begin_source(id, origin, &document, language, runner)
        });
        match begun {
            Ok(None) => {
                let path = self.filling.as_ref().map(|f| f.origin.path.clone()).unwrap_or_default();
                Ok(Advance::Reading(path))
            }
            Ok(Some(source)) => self.settle(source),
            Err(error) => self.fail(id, &error),
        }
    }

    /// `Some` when there is nothing to do: what a kill left behind is whole already.
    fn begin_source(
        &mut self,
        id: &str,
        origin: Origin,
        document: &Document,
        language: &Language,
        runner: &dyn Runner,
    ) -> Result<Option<Source>> {
        let facts: &StoreFacts = &self.manifest.facts;
        let made = Pieces::of(document, language, runner.context_length())?;
        let (notes, format) = (made.notes, document.format.word());
        let source = self.manifest.sources.iter().find(|s| s.id == id).context("no such source")?;
        let file = Manifest::file_of(&self.folder, source);
        let held = Segment::open(&file, &facts.model_fingerprint, facts.hidden_size);
        if let Ok(held) = held
            && held.hash == origin.hash
            && held.len() == made.values.len()
        {
            return Ok(Some(done(source, &origin, notes, format, held.len())));
        }
        if made.values.is_empty() {
            let problem = Problem::new("there is too little text in this file").at(&origin.path);
            return Err(problem.hint("leave it out").into());
        }
        let lead = Lead {
            hash: origin.hash.clone(),
            model: facts.model_fingerprint.clone(),
            hidden_size: facts.hidden_size,
            values: made.values,
            spans: made.spans,
            text: made.text,
            places: made.places,
        };
        let writer = SegmentWriter::begin(&file, lead)?;
        let tokens_total = made.pieces.iter().map(|piece| piece.ids.len()).sum();
        let (id, pieces) = (id.to_owned(), made.pieces.into());
        let (fed, seen, tokens_done) = (0, 0, 0);
        self.filling = Some(Filling {
            id,
            origin,
            notes,
            format,
            pieces,
            fed,
            seen,
            tokens_done,
            tokens_total,
            writer,
        });
        Ok(None)
    }

    fn pass(&mut self, runner: &mut dyn Runner) -> Result<Advance> {
        let Some(filling) = &mut self.filling else { return Ok(Advance::Finished) };
        let Some(piece) = filling.pieces.front() else { return self.finish_source() };
        // A reply may have used the runner since the last pass: the piece is then fed anew, and
        // what was taken of it already is not taken twice.
        if filling.fed == 0 || runner.ids() != &piece.ids[..filling.fed] {
            filling.tokens_done -= filling.fed;
            filling.fed = 0;
            if runner.rows() > 1 {
                runner.gather(&[0])?;
            }
            runner.truncate(0)?;
        }
        let end = piece.ids.len().min(filling.fed + CHUNK);
        let output = runner.prefill(&piece.ids[filling.fed..end], Wanted::Hidden)?;
        self.tokens_fed += (end - filling.fed) as u64;
        filling.tokens_done += end - filling.fed;
        let from = piece.kept.start.max(filling.fed).max(filling.seen);
        let kept = from..piece.kept.end.min(end);
        filling.seen = filling.seen.max(end);
        let mut written = Ok(());
        for position in kept {
            written = filling.writer.push(output.hidden_of(position - filling.fed));
            if written.is_err() {
                break;
            }
        }
        filling.fed = end;
        if end == piece.ids.len() {
            filling.pieces.pop_front();
            (filling.fed, filling.seen) = (0, 0);
        }
        if let Err(error) = written {
            let id = filling.id.clone();
            self.filling = None;
            return self.fail(&id, &error);
        }
        if filling.pieces.is_empty() {
            return self.finish_source();
        }
        let standing = Standing {
            path: filling.origin.path.clone(),
            tokens_done: filling.tokens_done,
            tokens_total: filling.tokens_total,
            files_done: self.done,
            files_total: self.total,
            tokens_fed: self.tokens_fed,
        };
        Ok(Advance::Passed(standing))
    }

    fn finish_source(&mut self) -> Result<Advance> {
        let Some(filling) = self.filling.take() else { return Ok(Advance::Finished) };
        let Filling { id, origin, mut notes, format, writer, .. } = filling;
        let entries = writer.len();
        if let Err(error) = writer.finish() {
            return self.fail(&id, &error);
        }
        if crate::documents::looked_at(&origin.path)
            != Some((origin.byte_count, origin.modified_nanos))
        {
            notes.push("the file changed while it was read; build again to take it up".into());
        }
        let source = self.manifest.sources.iter().find(|s| s.id == id).context("no such source")?;
        let source = done(source, &origin, notes, format, entries);
        self.settle(source)
    }

    fn fail(&mut self, id: &str, error: &anyhow::Error) -> Result<Advance> {
        let source = self.manifest.sources.iter().find(|s| s.id == id).context("no such source")?;
        let state = SourceState::Failed(format!("{error:#}"));
        let failed = Source { state, ..Source { path: source.path.clone(), ..source.clone() } };
        self.settle(failed)
    }

    fn settle(&mut self, source: Source) -> Result<Advance> {
        self.done += 1;
        if let Some(held) = self.manifest.source_mut(&source.id) {
            held.clone_from(&source);
        }
        self.manifest.write(&self.folder)?;
        Ok(Advance::Settled(Box::new(source)))
    }
}
