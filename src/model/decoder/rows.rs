//! The bookkeeping of the KV cache: which ids every row holds, and what is shared.
//!
//! Pure: the tensors follow what is decided here. With one row everything is shared and the tails
//! are empty; with more rows the shared part stands still and every tail has the same length.

use anyhow::{Result, ensure};

/// Ids held by each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows {
    /// Shared ids followed by the tail of row 0.
    first: Vec<u32>,
    shared_len: usize,
    /// One tail per row, all of the same length.
    tails: Vec<Vec<u32>>,
}

/// What a gather means for the tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gathering {
    /// Every row stays what it is.
    Nothing,
    /// All rows continue this one: its tail joins the shared part.
    Settle(usize),
    /// Tails are copied by parent index.
    Copy(Vec<usize>),
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { first: Vec::new(), shared_len: 0, tails: vec![Vec::new()] }
    }

    pub(super) fn count(&self) -> usize {
        self.tails.len()
    }

    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    pub(super) fn shared_len(&self) -> usize {
        self.shared_len
    }

    pub(super) fn tail_len(&self) -> usize {
        self.first.len() - self.shared_len
    }

    pub(super) fn ids(&self) -> &[u32] {
        &self.first
    }

    /// Ids were fed to the single row.
    pub(super) fn append_shared(&mut self, ids: &[u32]) {
        self.first.extend_from_slice(ids);
        self.shared_len = self.first.len();
    }

    /// One id was fed to each of several rows.
    pub(super) fn append_tails(&mut self, ids: &[u32]) {
        for (tail, id) in self.tails.iter_mut().zip(ids) {
            tail.push(*id);
        }
        self.first.extend(ids.first());
    }

    /// What gathering these parents asks of the tensors.
    pub(super) fn gathering(&self, parents: &[usize]) -> Result<Gathering> {
        ensure!(!parents.is_empty(), "a gather needs at least one row");
        let rows = self.count();
        if let Some(parent) = parents.iter().find(|parent| **parent >= rows) {
            anyhow::bail!("row {parent} cannot be gathered from {rows} rows");
        }
        if parents.iter().all(|parent| *parent == parents[0]) {
            return Ok(Gathering::Settle(parents[0]));
        }
        if parents.len() == rows && parents.iter().enumerate().all(|(row, parent)| row == *parent) {
            return Ok(Gathering::Nothing);
        }
        Ok(Gathering::Copy(parents.to_vec()))
    }

    /// Takes over what `gathering` decided; `rows` is how many there are afterwards.
    pub(super) fn gather(&mut self, gathering: &Gathering, rows: usize) {
        match gathering {
            Gathering::Nothing => {}
            Gathering::Settle(parent) => {
                self.first.truncate(self.shared_len);
                self.first.extend_from_slice(&self.tails[*parent]);
                self.shared_len = self.first.len();
                self.tails = vec![Vec::new(); rows];
            }
            Gathering::Copy(parents) => {
                self.tails = parents.iter().map(|parent| self.tails[*parent].clone()).collect();
                self.first.truncate(self.shared_len);
                self.first.extend_from_slice(&self.tails[0]);
            }
        }
    }

    /// Forgets every position from `len` on; below the shared length one row is left.
    pub(super) fn truncate(&mut self, len: usize) {
        self.first.truncate(len);
        if len < self.shared_len {
            self.shared_len = len;
            self.tails = vec![Vec::new()];
        } else {
            let tail = self.first.len() - self.shared_len;
            self.tails.iter_mut().for_each(|ids| ids.truncate(tail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gathering, Rows};

    fn gather(rows: &mut Rows, parents: &[usize]) -> Gathering {
        let gathering = rows.gathering(parents).unwrap();
        rows.gather(&gathering, parents.len());
        gathering
    }

    #[test]
    fn one_row_shares_everything() {
        let mut rows = Rows::new();
        rows.append_shared(&[1, 2, 3]);
        assert_eq!((rows.len(), rows.shared_len(), rows.tail_len()), (3, 3, 0));
        rows.truncate(9);
        assert_eq!(rows.len(), 3);
        rows.truncate(1);
        assert_eq!((rows.ids(), rows.shared_len()), (&[1][..], 1));
    }

    #[test]
    fn rows_fork_cross_and_settle() {
        let mut rows = Rows::new();
        rows.append_shared(&[1, 2]);
        assert_eq!(gather(&mut rows, &[0, 0, 0]), Gathering::Settle(0));
        rows.append_tails(&[7, 8, 9]);
        assert_eq!((rows.ids(), rows.tail_len()), (&[1, 2, 7][..], 1));
        assert_eq!(gather(&mut rows, &[0, 1, 2]), Gathering::Nothing);
        assert_eq!(gather(&mut rows, &[2, 1]), Gathering::Copy(vec![2, 1]));
        assert_eq!((rows.ids(), rows.count()), (&[1, 2, 9][..], 2));
        rows.append_tails(&[4, 5]);
        assert_eq!(gather(&mut rows, &[1]), Gathering::Settle(1));
        assert_eq!((rows.ids(), rows.shared_len(), rows.count()), (&[1, 2, 8, 5][..], 4, 1));
    }

    #[test]
    fn truncation_reaches_into_tails_and_then_collapses_rows() {
        let mut rows = Rows::new();
        rows.append_shared(&[1, 2]);
        gather(&mut rows, &[0, 0]);
        rows.append_tails(&[7, 8]);
        rows.append_tails(&[9, 10]);
        rows.truncate(3);
        assert_eq!((rows.ids(), rows.count(), rows.tail_len()), (&[1, 2, 7][..], 2, 1));
        rows.truncate(2);
        assert_eq!((rows.count(), rows.tail_len()), (2, 0));
        rows.truncate(1);
        assert_eq!((rows.ids(), rows.count(), rows.shared_len()), (&[1][..], 1, 1));
    }

    #[test]
    fn parents_must_exist() {
        let rows = Rows::new();
        assert!(rows.gathering(&[]).is_err());
        assert!(rows.gathering(&[1]).is_err());
    }
}
