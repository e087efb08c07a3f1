//! Figures kept in a folder while a long table is made, so that one that was stopped is taken up
//! where it was: what has its figures is not measured again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::platform::{Problem, atomic};

/// The file in the folder.
const NAME: &str = "figures.json";

/// Figures by what they are of. Without a folder nothing is kept.
#[derive(Debug, Default)]
pub struct Kept {
    path: Option<PathBuf>,
    figures: BTreeMap<String, Value>,
}

impl Kept {
    /// What a folder holds of an earlier run; the folder is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or holds something else by that name.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        std::fs::create_dir_all(folder)
            .with_context(|| Problem::new("cannot make this folder").at(folder))?;
        let path = folder.join(NAME);
        let figures = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                let what = "these are no figures of `eval reward`";
                Problem::new(what).at(&path).hint("delete the file to measure anew")
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(error).with_context(|| Problem::new("cannot read").at(&path));
            }
        };
        Ok(Self { path: Some(path), figures })
    }

    /// The figures by this name, measured if they are not there yet. The name must hold all that
    /// they depend on.
    ///
    /// # Errors
    /// When measuring fails, or what was measured cannot be kept.
    pub fn or_measure<T: Serialize + DeserializeOwned>(
        &mut self,
        name: &str,
        measure: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let known = self.figures.get(name).cloned().map(serde_json::from_value::<T>);
        if let Some(Ok(figures)) = known {
            return Ok(figures);
        }
        let figures = measure()?;
        self.figures.insert(name.to_owned(), serde_json::to_value(&figures)?);
        if let Some(path) = &self.path {
            atomic::write(path, &serde_json::to_vec_pretty(&self.figures)?)?;
        }
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_not_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("table");
        let mut kept = Kept::open(Some(&inner)).unwrap();
        assert_eq!(kept.or_measure("a", || Ok(1.5_f64)).unwrap(), 1.5);
        assert!(kept.or_measure::<f64>("b", || anyhow::bail!("stopped")).is_err());
        let mut again = Kept::open(Some(&inner)).unwrap();
        assert_eq!(again.or_measure("a", || -> Result<f64> { panic!("again") }).unwrap(), 1.5);
        assert_eq!(again.or_measure("b", || Ok(2.0)).unwrap(), 2.0);
        std::fs::write(inner.join(NAME), "x").unwrap();
        let error = Kept::open(Some(&inner)).unwrap_err().to_string();
        assert!(error.contains("figures.json") && error.contains("anew"), "{error}");
        let mut none = Kept::open(None).unwrap();
        assert_eq!(none.or_measure("a", || Ok(3)).unwrap(), 3);
    }
}
