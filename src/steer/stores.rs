//! What a plan says of datastores: which, how much of each, and how they are asked.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize};

use super::Plan;
use crate::platform::Problem;

/// Most neighbours that are asked for; the published runs end at 1,024.
pub const MOST_NEIGHBOURS: usize = 4096;

/// The share of a store that no questions were tried on: what is stored can win, and the model is
/// still heard.
pub const FIRST_LAMBDA: f32 = 0.6;

/// One datastore and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreSetting {
    /// Its folder.
    pub path: PathBuf,
    /// Its share in the distribution, λ: 0 is off, 1 leaves nothing to the model.
    #[serde(default = "half", deserialize_with = "read_lambda")]
    pub lambda: f32,
    /// Neighbours asked for, k; `None` takes what was found for the store, else 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<usize>,
    /// Of the softmax over squared distances; `None` takes what was found for the store, else what
    /// was measured on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Slices of the vector that are searched each by itself; 1 searches it whole.
    #[serde(default = "one")]
    pub heads: usize,
    /// Leave the model alone where nothing in the store is near.
    #[serde(default = "yes")]
    pub gate: bool,
}

impl StoreSetting {
    /// A store with this share, asked as usual.
    pub fn new(path: impl Into<PathBuf>, lambda: f32) -> Self {
        let (neighbours, temperature, heads, gate) = (None, None, one(), yes());
        Self { path: path.into(), lambda, neighbours, temperature, heads, gate }
    }
}

impl Plan {
    /// Stores that are not off.
    pub fn stores_in_play(&self) -> impl Iterator<Item = &StoreSetting> {
        self.stores.iter().filter(|store| store.lambda != 0.0)
    }

    /// # Errors
    /// When a store is to be asked in a way that means nothing, with its path.
    pub fn check_stores(&self) -> Result<(), Problem> {
        self.stores.iter().try_for_each(|store| {
            check_lambda(store.lambda, Some(&store.path))?;
            let refuse = |what: String| Err(Problem::new(what).at(&store.path));
            let asked = store.neighbours.unwrap_or(1);
            if asked == 0 || asked > MOST_NEIGHBOURS {
                return refuse(format!(
                    "{asked} neighbours cannot be asked for, only 1 to {MOST_NEIGHBOURS}"
                ));
            }
            if store.heads == 0 {
                return refuse("a store cannot be searched with 0 heads".into());
            }
            match store.temperature {
                Some(at) if !(at > 0.0 && at.is_finite()) => {
                    refuse(format!("a temperature of {at} means nothing for a store"))
                }
                _ => Ok(()),
            }
        })
    }
}

fn check_lambda(lambda: f32, path: Option<&Path>) -> Result<(), Problem> {
    if (0.0..=1.0).contains(&lambda) {
        return Ok(());
    }
    let problem = Problem::new(format!("a share of {lambda} means nothing for a store"));
    let problem = problem.hint("give one from 0 (off) to 1");
    Err(match path {
        Some(path) => problem.at(path),
        None => problem,
    })
}

fn read_lambda<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
    let lambda = f32::deserialize(from)?;
    check_lambda(lambda, None).map_err(serde::de::Error::custom)?;
    Ok(lambda)
}

fn half() -> f32 {
    0.5
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_go_through_toml_and_what_means_nothing_is_refused() {
        let odd = StoreSetting {
            neighbours: Some(8),
            temperature: Some(3.5),
            heads: 4,
            gate: false,
            ..StoreSetting::new("C:\\stores\\ferry", 0.25)
        };
        let plan = Plan { stores: vec![odd, StoreSetting::new("b", 0.0)], ..Plan::default() };
        let text = toml::to_string(&plan).unwrap();
        assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan);
        assert_eq!(plan.stores_in_play().count(), 1);
        let plain = Plan { stores: vec![StoreSetting::new("a", FIRST_LAMBDA)], ..Plan::default() };
        assert!(toml::to_string(&plain).unwrap().contains("lambda = 0.6\n"), "no digits of f64");
        let short: Plan = toml::from_str("[[stores]]\npath = \"a\"").unwrap();
        assert_eq!(short.stores, [StoreSetting::new("a", 0.5)]);
        assert!(!toml::to_string(&Plan::default()).unwrap().contains("stores"));
        for lambda in ["1.1", "-0.1", "nan"] {
            let text = format!("[[stores]]\npath = \"a\"\nlambda = {lambda}");
            assert!(toml::from_str::<Plan>(&text).unwrap_err().message().contains("share"));
        }
        let with = |change: fn(&mut StoreSetting)| {
            let mut store = StoreSetting::new("ferry", 0.5);
            change(&mut store);
            Plan { stores: vec![store], ..Plan::default() }
                .check_stores()
                .map_err(|e| e.to_string())
        };
        assert!(with(|_| {}).is_ok());
        for wrong in [
            with(|s| s.neighbours = Some(0)),
            with(|s| s.heads = 0),
            with(|s| s.temperature = Some(0.0)),
            with(|s| s.lambda = f32::NAN),
        ] {
            assert!(wrong.unwrap_err().contains("ferry"));
        }
    }
}
