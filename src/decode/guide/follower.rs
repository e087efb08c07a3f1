//! A model beside the base that follows rows of ids: it finds by itself what its cache already
//! holds of each row, copies and cuts back accordingly, and feeds only what is new.
//!
//! Rows may be of unequal lengths (texts re-tokenised by another vocabulary, finished texts): short
//! ones are padded on the right, where a causal model cannot see the padding.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::model::{Runner, StepOutput, Wanted};

/// Positions of a prompt fed in one pass.
const PROMPT_CHUNK: usize = 128;
/// Positions of a reply fed in one pass, all of whose logits are read.
const REPLY_CHUNK: usize = 16;

/// What a model gave after one id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// `[vocab_size]`.
    pub logits: Vec<f32>,
    /// `[hidden_size]`, after the final norm.
    pub hidden: Vec<f32>,
    /// What a reward adapter beside it says; not a number without one.
    pub reward: f32,
}

impl Outcome {
    fn of(output: &StepOutput, row: usize) -> Self {
        Self {
            logits: output.logits_of(row).to_vec(),
            hidden: output.hidden_of(row).to_vec(),
            reward: output.reward.get(row).copied().unwrap_or(f32::NAN),
        }
    }
}

/// One id that was just fed.
#[derive(Debug, Clone, Copy)]
pub struct Fed<'a> {
    pub id: u32,
    /// What the model gave before this id; `None` for the first of all.
    pub before: Option<&'a Outcome>,
    /// What it gives after it.
    pub after: &'a Outcome,
}

/// What a model was fed (spec section 10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowForwards {
    /// Positions of prompts, once however many rows there are.
    pub prompt: usize,
    /// Rows times new tokens.
    pub rows: usize,
    /// Passes one after the other, prompts not counted.
    pub steps: usize,
}

impl RowForwards {
    /// Everything that was fed.
    pub fn total(self) -> usize {
        self.prompt + self.rows
    }
}

/// One row as it is held.
#[derive(Debug, Clone, Default)]
struct Held {
    /// Ids of the cache's row that are not padding.
    ids: Vec<u32>,
    /// What was noted of each of them.
    notes: Vec<f32>,
    /// What the model gave after the last of them.
    last: Option<Arc<Outcome>>,
}

/// Follows rows of ids.
pub struct Follower {
    runner: Box<dyn Runner>,
    held: Vec<Held>,
    /// Ids at the beginning that all rows share and of which nothing is noted.
    shared: usize,
    fed: RowForwards,
}

impl Follower {
    /// Takes a runner for itself. The first `shared` ids of every row are a prompt.
    pub fn new(runner: Box<dyn Runner>, shared: usize) -> Self {
        Self { runner, held: Vec::new(), shared, fed: RowForwards::default() }
    }

    /// What it was fed so far.
    pub fn row_forwards(&self) -> RowForwards {
        self.fed
    }

    /// Most ids a row may have.
    pub fn context_length(&self) -> usize {
        self.runner.context_length()
    }

    /// The notes of a row, one per id; zeros for the shared ids.
    pub fn notes(&self, row: usize) -> &[f32] {
        self.held.get(row).map_or(&[], |held| &held.notes)
    }

    /// What the model gave after the last id of a row.
    pub fn last(&self, row: usize) -> Option<&Outcome> {
        self.held.get(row).and_then(|held| held.last.as_deref())
    }

    /// Forgets everything but the counts.
    ///
    /// # Errors
    /// When the runner cannot.
    pub fn forget(&mut self) -> Result<()> {
        self.held.clear();
        if self.runner.rows() > 1 {
            self.runner.gather(&[0])?;
        }
        self.runner.truncate(0)
    }

    /// Brings the cache to these rows; `note` is called once for every new id after the shared
    /// ones, in order.
    ///
    /// # Errors
    /// When a pass fails; what is held is then forgotten.
    pub fn follow(&mut self, rows: &[&[u32]], note: &mut dyn FnMut(Fed<'_>) -> f32) -> Result<()> {
        let outcome = self.bring_to(rows, note);
        if outcome.is_err() {
            self.forget().ok();
        }
        outcome
    }

    fn bring_to(&mut self, rows: &[&[u32]], note: &mut dyn FnMut(Fed<'_>) -> f32) -> Result<()> {
        ensure!(rows.iter().all(|row| !row.is_empty()) && !rows.is_empty(), "rows without ids");
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let room = self.runner.context_length();
        ensure!(longest <= room, "{longest} tokens are more than the {room} a guide can hold");
        if self.held.is_empty() {
            self.forget()?;
            self.held.push(Held::default());
        }
        self.take_parents(rows)?;
        let Some(start) = self.cut_to(rows) else { return Ok(()) };
        if start < self.runner.len() {
            self.runner.truncate(start)?;
        }
        self.feed_prompt(rows, note)?;
        if self.runner.rows() != rows.len() {
            self.runner.gather(&vec![0; rows.len()])?;
        }
        while self.runner.len() < longest {
            self.step(rows, note)?;
        }
        Ok(())
    }

    /// Each row continues the held row it has most in common with, itself where that is as good.
    fn take_parents(&mut self, rows: &[&[u32]]) -> Result<()> {
        let parents: Vec<usize> = rows
            .iter()
            .enumerate()
            .map(|(own, row)| {
                let share = |at: &usize| common(&self.held[*at].ids, row);
                let best = (0..self.held.len())
                    .max_by_key(|at| (share(at), *at == own, std::cmp::Reverse(*at)));
                best.unwrap_or(0)
            })
            .collect();
        if parents.len() == self.held.len() && parents.iter().enumerate().all(|(a, b)| a == *b) {
            return Ok(());
        }
        // A cache of one row is what all rows share: there is nothing to copy yet.
        if self.runner.rows() > 1 {
            self.runner.gather(&parents)?;
        }
        self.held = parents.iter().map(|parent| self.held[*parent].clone()).collect();
        Ok(())
    }

    /// Drops from what is held whatever is not in the rows; the position to feed from, or nothing
    /// when all rows are held whole.
    fn cut_to(&mut self, rows: &[&[u32]]) -> Option<usize> {
        let mut start = None;
        for (held, row) in self.held.iter_mut().zip(rows) {
            let same = common(&held.ids, row);
            if same == row.len() && (held.ids.len() == same) {
                continue;
            }
            // What the model gave before the first new id is gone once it went another way: then
            // the last common id is fed again.
            let own = if same == held.ids.len() { same } else { same.saturating_sub(1) };
            if same < held.ids.len() {
                held.last = None;
            }
            held.ids.truncate(same);
            held.notes.truncate(same);
            start = Some(start.map_or(own, |least: usize| least.min(own)));
        }
        start.map(|start| start.min(self.runner.len()))
    }

    /// With one row in play: the shared ids, and with a single row to follow all of its ids.
    fn feed_prompt(&mut self, rows: &[&[u32]], note: &mut dyn FnMut(Fed<'_>) -> f32) -> Result<()> {
        if self.runner.rows() > 1 {
            return Ok(());
        }
        let shared = self.shared.min(rows.iter().map(|row| row.len()).min().unwrap_or(0));
        ensure!(
            rows.iter().all(|row| row[..shared] == rows[0][..shared]),
            "the rows do not share their prompt"
        );
        while self.runner.len() < shared {
            let from = self.runner.len();
            let chunk = &rows[0][from..shared.min(from + PROMPT_CHUNK)];
            let output = self.runner.prefill(chunk, Wanted::Last)?;
            self.fed.prompt += chunk.len();
            let last = Arc::new(Outcome::of(&output, 0));
            for held in &mut self.held {
                let known = held.ids.len();
                held.ids.extend(rows[0].iter().take(from + chunk.len()).skip(known));
                held.notes.resize(held.ids.len(), 0.0);
                // A row that is known further on has its own last outcome to come.
                held.last = Some(Arc::clone(&last));
            }
        }
        if rows.len() > 1 || rows[0].len() - self.runner.len() < 2 {
            return Ok(());
        }
        while self.runner.len() < rows[0].len() {
            let from = self.runner.len();
            let chunk = &rows[0][from..rows[0].len().min(from + REPLY_CHUNK)];
            let output = self.runner.prefill(chunk, Wanted::All)?;
            self.fed.rows += chunk.len();
            self.fed.steps += 1;
            for (at, id) in chunk.iter().enumerate() {
                let after = Outcome::of(&output, at);
                self.held[0].take(from + at, *id, after, note);
            }
        }
        Ok(())
    }

    fn step(&mut self, rows: &[&[u32]], note: &mut dyn FnMut(Fed<'_>) -> f32) -> Result<()> {
        let at = self.runner.len();
        let padded = |row: &&[u32]| row.get(at).or(row.last()).copied().unwrap_or(0);
        let ids: Vec<u32> = rows.iter().map(padded).collect();
        let output = self.runner.step(&ids)?;
        self.fed.rows += rows.len();
        self.fed.steps += 1;
        for (row, held) in self.held.iter_mut().enumerate() {
            if at < rows[row].len() {
                let after = Outcome::of(&output, row);
                held.take(at, ids[row], after, note);
            }
        }
        Ok(())
    }
}

impl Held {
    /// The id at this position was fed; what is known of it already is not noted twice.
    fn take(&mut self, at: usize, id: u32, after: Outcome, note: &mut dyn FnMut(Fed<'_>) -> f32) {
        if at == self.ids.len() {
            let value = note(Fed { id, before: self.last.as_deref(), after: &after });
            self.ids.push(id);
            self.notes.push(value);
        }
        self.last = Some(Arc::new(after));
    }
}

fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
