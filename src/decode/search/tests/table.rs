//! Models that are tables, behind `Runner`: what they give is known, so everything above them can
//! be counted.

use anyhow::{Result, ensure};

use crate::model::{Language, Runner, StepOutput, TextStream, Vocabulary, Wanted};

/// Logits by the last ids: a Markov chain, or a function of the whole row.
pub type Table = fn(&[u32]) -> Vec<f32>;

/// A model that is a function of its row.
#[derive(Clone)]
pub struct TableRunner {
    table: Table,
    width: usize,
    rows: Vec<Vec<u32>>,
    /// Ids fed so far, by prefills and by steps.
    pub fed: std::sync::Arc<parking_lot::Mutex<(usize, usize)>>,
    /// Added to every logit: no distribution changes by it.
    pub shift: f32,
    pub context: usize,
}

impl TableRunner {
    pub fn new(table: Table) -> Self {
        let width = table(&[0]).len();
        let (rows, fed) = (vec![Vec::new()], Default::default());
        Self { table, width, rows, fed, shift: 0.0, context: 512 }
    }

    fn output(&self, prefixes: &[&[u32]]) -> StepOutput {
        let mut output = StepOutput { rows: prefixes.len(), ..StepOutput::default() };
        for ids in prefixes {
            output.logits.extend((self.table)(ids).into_iter().map(|z| z + self.shift));
            // The state tells the last two ids, for heads that are tables themselves.
            let mut hidden = vec![0.0; 2 * self.width + 1];
            hidden[0] = 1.0;
            for (place, id) in ids.iter().rev().take(2).enumerate() {
                hidden[1 + place * self.width + *id as usize] = 1.0;
            }
            output.hidden.extend(hidden);
        }
        output
    }
}

impl Runner for TableRunner {
    fn vocab_size(&self) -> usize {
        self.width
    }
    fn hidden_size(&self) -> usize {
        2 * self.width + 1
    }
    fn context_length(&self) -> usize {
        self.context
    }
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn len(&self) -> usize {
        self.rows[0].len()
    }
    fn ids(&self) -> &[u32] {
        &self.rows[0]
    }
    fn prefill(&mut self, ids: &[u32], wanted: Wanted) -> Result<StepOutput> {
        ensure!(self.rows.len() == 1 && !ids.is_empty(), "a prefill wants one row and some ids");
        ensure!(self.len() + ids.len() <= self.context, "the context is full");
        self.fed.lock().0 += ids.len();
        let start = self.len();
        self.rows[0].extend(ids);
        let row = &self.rows[0];
        let from = if wanted == Wanted::All { start + 1 } else { row.len() };
        let prefixes: Vec<&[u32]> = (from..=row.len()).map(|end| &row[..end]).collect();
        Ok(self.output(&prefixes))
    }
    fn step(&mut self, ids: &[u32]) -> Result<StepOutput> {
        ensure!(ids.len() == self.rows.len(), "{} ids for {} rows", ids.len(), self.rows.len());
        ensure!(self.len() < self.context, "the context is full");
        self.fed.lock().1 += ids.len();
        for (row, id) in self.rows.iter_mut().zip(ids) {
            row.push(*id);
        }
        let prefixes: Vec<&[u32]> = self.rows.iter().map(Vec::as_slice).collect();
        Ok(self.output(&prefixes))
    }
    fn gather(&mut self, parents: &[usize]) -> Result<()> {
        ensure!(!parents.is_empty() && parents.iter().all(|p| *p < self.rows.len()), "no such row");
        self.rows = parents.iter().map(|parent| self.rows[*parent].clone()).collect();
        Ok(())
    }
    fn truncate(&mut self, len: usize) -> Result<()> {
        self.rows.iter_mut().for_each(|row| row.truncate(len));
        Ok(())
    }
    fn twin(&self) -> Option<Box<dyn Runner>> {
        Some(Box::new(Self { rows: vec![Vec::new()], ..self.clone() }))
    }
}

/// One letter per id; the last one may end a text.
pub struct Letters(pub usize);

impl Vocabulary for Letters {
    fn size(&self) -> usize {
        self.0
    }
    fn encode(&self, text: &str, _: bool) -> Result<Vec<u32>> {
        Ok(text.bytes().map(|byte| u32::from(byte - b'a')).collect())
    }
    fn beginning_of_text(&self) -> Option<u32> {
        None
    }
    fn token_text(&self, id: u32) -> String {
        char::from(b'a' + id as u8).to_string()
    }
    fn token_bytes(&self, id: u32) -> Option<Vec<u8>> {
        ((id as usize) < self.0).then(|| vec![b'a' + id as u8])
    }
    fn is_marker(&self, _: u32) -> bool {
        false
    }
    fn stream(&self, _: bool) -> Box<dyn TextStream> {
        Box::new(LetterStream)
    }
}

struct LetterStream;

impl TextStream for LetterStream {
    fn push(&mut self, id: u32) -> Result<String> {
        Ok(char::from(b'a' + id as u8).to_string())
    }
}

/// A language of so many letters.
pub fn letters(count: usize, end_of_text_ids: Vec<u32>) -> Language {
    Language { vocabulary: Box::new(Letters(count)), template: None, end_of_text_ids }
}

/// Three tokens, each likelier or not by the one before it.
pub fn markov(ids: &[u32]) -> Vec<f32> {
    let table = [[0.5_f32, 0.3, 0.2], [0.1, 0.6, 0.3], [0.4, 0.2, 0.4]];
    table[*ids.last().unwrap_or(&0) as usize % 3].iter().map(|p| p.ln()).collect()
}

/// The same vocabulary, tuned to like the second token.
pub fn tuned(ids: &[u32]) -> Vec<f32> {
    let table = [[0.2_f32, 0.6, 0.2], [0.1, 0.8, 0.1], [0.3, 0.5, 0.2]];
    table[*ids.last().unwrap_or(&0) as usize % 3].iter().map(|p| p.ln()).collect()
}

/// Before it was tuned.
pub fn untuned(ids: &[u32]) -> Vec<f32> {
    let table = [[0.4_f32, 0.4, 0.2], [0.3, 0.3, 0.4], [0.25, 0.25, 0.5]];
    table[*ids.last().unwrap_or(&0) as usize % 3].iter().map(|p| p.ln()).collect()
}

/// Eight tokens that depend on the whole row, so that a wrong cache shows.
pub fn whole_row(ids: &[u32]) -> Vec<f32> {
    let mut state = 1_u64;
    for id in ids {
        state = (state ^ u64::from(*id + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        state ^= state >> 29;
    }
    (0..8)
        .map(|id| {
            let bits = (state ^ (id << 7)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40;
            3.0 * bits as f32 / (1_u64 << 24) as f32
        })
        .collect()
}
