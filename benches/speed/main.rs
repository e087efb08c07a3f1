//! Prints how fast Tiller is on this computer, as tables.
//!
//! ```sh
//! cargo bench --bench speed                  # as released
//! CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo bench --profile dev --bench speed   # without a release build
//! ```
//!
//! Options after `--`: `--small` for a model that takes seconds; `--only` with some of `products`,
//! `model`, `vectors`, `reward`, `search`, `store`, `training`, `tree`, `window`, separated by
//! commas; `--types` with some of the weight types; `--entries` with the sizes of datastores,
//! `--graph-from` with the size from which one gets a graph.
//! Model weights are random and made on the spot; speeds do not depend on what they say.

mod baseline;
mod checkpoint;
mod model;
mod products;
mod programs;
mod reward;
mod search;
mod shape;
mod stores;
mod timing;
mod tree;
mod vectors;

use anyhow::{Result, bail};

use shape::Shape;
use tiller::steer::datastore::approximate::INDEX_FROM;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((model::LINE, rest)) = arguments.split_first().map(|(a, b)| (a.as_str(), b)) {
        return model::print_line(rest);
    }
    let asked = Asked::read(arguments.into_iter())?;
    let device = tiller::model::device::choose("cpu")?;
    let copy = baseline::print(&device.label);
    if asked.wants("products") {
        products::print(asked.shape, &asked.types, copy)?;
    }
    if asked.wants("model") {
        model::print(asked.shape, &asked.types, copy)?;
    }
    if asked.wants("vectors") {
        vectors::print(asked.shape, &asked.types)?;
    }
    if asked.wants("reward") {
        reward::print(asked.shape, &asked.types)?;
    }
    if asked.wants("search") {
        search::print(asked.shape)?;
    }
    if asked.wants("store") {
        stores::print(asked.shape, &asked.entries, asked.graph_from)?;
    }
    if asked.wants("training") {
        programs::print_training()?;
    }
    if asked.wants("tree") {
        tree::print();
    }
    if asked.wants("window") {
        programs::print_window()?;
    }
    Ok(())
}

/// What the command line asks for.
struct Asked {
    shape: Shape,
    only: Vec<String>,
    types: Vec<String>,
    entries: Vec<usize>,
    graph_from: usize,
}

impl Asked {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut asked = Self {
            shape: Shape::QWEN2_5_0_5B,
            only: Vec::new(),
            types: Vec::new(),
            entries: stores::ENTRIES.to_vec(),
            graph_from: INDEX_FROM,
        };
        while let Some(argument) = arguments.next() {
            let mut list = || -> Vec<String> {
                let value = arguments.next().unwrap_or_default();
                value.split(',').map(|part| part.trim().to_ascii_lowercase()).collect()
            };
            match argument.as_str() {
                // Cargo says this to every bench.
                "--bench" => {}
                "--small" => asked.shape = Shape::SMALL,
                "--only" => asked.only = list(),
                "--types" => asked.types = list(),
                "--entries" => {
                    let read = |part: &String| part.parse().map_err(anyhow::Error::from);
                    asked.entries = list().iter().map(read).collect::<Result<_>>()?;
                }
                "--graph-from" => asked.graph_from = list().concat().parse()?,
                other => bail!("unknown option `{other}`; see the top of benches/speed/main.rs"),
            }
        }
        Ok(asked)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}
