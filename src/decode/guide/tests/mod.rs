//! Guides over models that are tables: exact when off, exact at the ends, caches that follow.

mod follower;
mod pairs;
mod scorers;

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Pair, PairHandle, Reading, Side};
use crate::decode::search::tests::table::{Table, TableRunner};

/// A model that reads ids.
pub fn side(table: Table, prompt: &[u32]) -> Side {
    let reading = Reading::Ids { prompt: prompt.to_vec() };
    Side::new(Box::new(TableRunner::new(table)), reading, None, 0)
}

/// A pair over `width` tokens with a prompt of its own.
pub fn pair(tuned: Table, untuned: Option<Table>, width: usize, prompt: &[u32]) -> PairHandle {
    let untuned = untuned.map(|table| side(table, prompt));
    Arc::new(Mutex::new(Pair::new("toy".into(), side(tuned, prompt), untuned, width)))
}
