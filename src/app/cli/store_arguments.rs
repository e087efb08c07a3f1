//! `--store DIR[:LAMBDA]` and how stores are asked, for verbs that generate.

use std::path::Path;

use anyhow::{Result, anyhow};
use clap::Args;

use super::Usage;
use super::vector_arguments::parted;
use crate::steer::datastore::Manifest;
use crate::steer::{FIRST_LAMBDA, Plan, StoreSetting};

#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Ground the reply in a datastore, with a share from 0 to 1; without it what was found for the
    /// store. Repeatable.
    #[arg(long = "store", value_name = "DIR[:LAMBDA]")]
    stores: Vec<String>,
    /// Neighbours asked of every store.
    #[arg(long, value_name = "K", requires = "stores")]
    neighbours: Option<usize>,
    /// Slices of the hidden state that are searched each by itself.
    #[arg(long, value_name = "H", requires = "stores")]
    heads: Option<usize>,
    /// Temperature of the stores' softmax; without it what was measured on each.
    #[arg(long, value_name = "T", requires = "stores")]
    store_temperature: Option<f32>,
    /// Mix stores in also where nothing in them is near.
    #[arg(long, requires = "stores")]
    no_gate: bool,
}

impl StoreArgs {
    /// The stores asked for, after those of a plan.
    pub fn add_to(&self, plan: &mut Plan) -> Result<()> {
        for given in &self.stores {
            // A store that cannot be read is told of when it is opened.
            let manifest = Manifest::read(Path::new(given)).ok().flatten();
            let first = manifest.map_or(FIRST_LAMBDA, |manifest| manifest.first_lambda());
            let (path, lambda) = parted(given, first);
            let mut setting = StoreSetting::new(path, lambda);
            setting.neighbours = self.neighbours;
            setting.heads = self.heads.unwrap_or(setting.heads);
            setting.temperature = self.store_temperature;
            setting.gate = !self.no_gate;
            plan.stores.push(setting);
        }
        plan.check_stores().map_err(|problem| anyhow!(Usage(problem.to_string())))
    }
}
