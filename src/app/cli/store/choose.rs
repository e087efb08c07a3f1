//! `tiller store choose`: how a store is best asked, found on questions whose answers are known.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use crate::app::cli::LoadArgs;
use crate::app::cli::output::put_line;
use crate::documents;
use crate::model::Loader;
use crate::model::load::Checkpoints;
use crate::platform::{Problem, interrupt};
use crate::steer::datastore::choosing::Trial;
use crate::steer::datastore::{Datastore, Manifest};

#[derive(Debug, Args)]
pub struct ChooseArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// The store's folder.
    store: PathBuf,
    /// Questions with answers as JSON lines, other ones than the store holds and than it is
    /// judged by.
    #[arg(long, value_name = "FILE")]
    questions: PathBuf,
    /// Print all that was tried.
    #[arg(long)]
    verbose: bool,
}

pub fn run(args: &ChooseArgs) -> Result<()> {
    let (_, document) = documents::read(&args.questions)?;
    if document.pairs.is_empty() {
        let problem = Problem::new("there are no questions with answers in this file");
        let hint = r#"give lines like {"question": "…", "answer": "…"}"#;
        return Err(problem.at(&args.questions).hint(hint).into());
    }
    interrupt::watch();
    let path = args.load.path()?;
    let mut model =
        Checkpoints.load(&path, &args.load.options(), &mut |_, _| !interrupt::pressed())?;
    let mut store = Datastore::open(&args.store)?;
    store.manifest.facts.check(&model.facts).map_err(|problem| problem.at(&args.store))?;
    store.put_on(&model.runner.device());
    let store = Arc::new(store);
    let trial = Trial::of(&store, &model.language, model.runner.as_mut(), &document.pairs)?;
    if args.verbose {
        for tried in trial.grid() {
            put_line(&tried.line())?;
        }
    }
    let chosen = trial.best();
    put_line(&chosen.line())?;
    // The list is read again: a build may have changed it meanwhile.
    let gone = || Problem::new("the store is not there any more").at(&args.store);
    let mut manifest = Manifest::read(&args.store)?.ok_or_else(gone)?;
    manifest.chosen = Some(chosen);
    Ok(manifest.write(&args.store)?)
}
