//! How much of each attached vector is in play, for all rows alike or row by row.

/// Strengths `[sets, vectors]`, row-major: one set for all rows, or a set for each.
#[derive(Debug, Clone, Copy)]
pub struct Strengths<'a> {
    values: &'a [f32],
    vectors: usize,
}

impl<'a> Strengths<'a> {
    /// `None` when the values are not whole sets of at least one.
    pub fn new(values: &'a [f32], vectors: usize) -> Option<Self> {
        let whole = vectors > 0 && !values.is_empty() && values.len().is_multiple_of(vectors);
        whole.then_some(Self { values, vectors })
    }

    /// One, or as many as there are rows.
    pub fn sets(&self) -> usize {
        self.values.len() / self.vectors
    }

    /// Of one vector in one set.
    pub fn of(&self, set: usize, vector: usize) -> f32 {
        self.values[set * self.vectors + vector]
    }

    /// True when some set holds some of this vector.
    pub fn in_play(&self, vector: usize) -> bool {
        self.values.iter().skip(vector).step_by(self.vectors).any(|strength| *strength != 0.0)
    }
}

/// The set that counts for a row: with one set it is the same for all.
pub fn set_of(sets: usize, row: usize) -> usize {
    if sets == 1 { 0 } else { row }
}
