//! `tiller store`: building, describing and asking datastores in the terminal.

mod build;
mod choose;
mod info;
mod query;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::output::put_line;
use crate::steer::datastore;

/// What can be done with datastores.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Build a store out of files, or go on with one: what is done already is not done again.
    Build(build::BuildArgs),
    /// Find out on questions with known answers how a store is best asked, and note it in the store.
    Choose(choose::ChooseArgs),
    /// Take a file's entries out of a store.
    Remove(RemoveArgs),
    /// Say what a store is, and how each of its files stands.
    Info(info::InfoArgs),
    /// Ask a store what comes next after a text, and which passages say so.
    Query(query::QueryArgs),
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The store's folder.
    store: PathBuf,
    /// The files, as they were given.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Runs one of them.
pub fn run(verb: &StoreVerb) -> Result<()> {
    match verb {
        StoreVerb::Build(args) => build::run(args),
        StoreVerb::Choose(args) => choose::run(args),
        StoreVerb::Remove(args) => remove(args),
        StoreVerb::Info(args) => info::run(args),
        StoreVerb::Query(args) => query::run(args),
    }
}

fn remove(args: &RemoveArgs) -> Result<()> {
    for file in &args.files {
        datastore::build::remove(&args.store, file)?;
        put_line(&format!("removed  {}", file.display()))?;
    }
    Ok(())
}
