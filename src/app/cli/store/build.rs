//! `tiller store build`: files into a store, with a row for each.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::app::cli::output::put_line;
use crate::app::cli::{LoadArgs, Usage};
use crate::model::Loader;
use crate::model::load::Checkpoints;
use crate::platform::{Problem, interrupt};
use crate::steer::datastore::build::{Advance, Builder, Standing};
use crate::steer::datastore::{Manifest, Source, SourceState};
use crate::ui::words::{count, seconds};

#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// The store's folder: a new one, or a store to go on with.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// txt, md, pdf, docx, odt, epub, html, csv, tsv, jsonl and source code.
    files: Vec<PathBuf>,
}

pub fn run(args: &BuildArgs) -> Result<()> {
    if args.files.is_empty() && Manifest::read(&args.out)?.is_none() {
        return Err(anyhow!(Usage("there are no files to build a store of; give some".into())));
    }
    interrupt::watch();
    let path = args.load.path()?;
    let mut model =
        Checkpoints.load(&path, &args.load.options(), &mut |_, _| !interrupt::pressed())?;
    let mut builder = Builder::begin(&args.out, &model.facts, &args.files)?;
    let started = Instant::now();
    let mut failed = 0;
    loop {
        if interrupt::pressed() {
            clear();
            let hint = "what is done stays; run it again to go on";
            return Err(Problem::new("stopped").at(&args.out).hint(hint).into());
        }
        match builder.advance(&model.language, model.runner.as_mut())? {
            Advance::Reading(_) | Advance::Measuring => {}
            Advance::Passed(standing) => show(&standing, started.elapsed().as_secs_f64()),
            Advance::Settled(source) => {
                clear();
                failed += usize::from(!source.is_done());
                put_line(&row(&source))?;
            }
            Advance::Finished => break,
        }
    }
    clear();
    let manifest = builder.manifest();
    let files = manifest.sources.iter().filter(|source| source.is_done()).count();
    put_line(&format!(
        "{}: {} entries of {}",
        manifest.name,
        count(manifest.entries() as u64),
        crate::ui::words::plural(files as u64, "file", "files")
    ))?;
    if files == 0 && failed > 0 {
        let problem = Problem::new("none of the files could be read").at(&args.out);
        return Err(problem.hint("each row above says why").into());
    }
    Ok(())
}

/// One file's state on a line.
pub fn row(source: &Source) -> String {
    let path = source.path.display();
    let mut line = match &source.state {
        SourceState::Done if source.is_outdated() => {
            format!("changed  {:>9} entries  {path}", count(source.entries as u64))
        }
        SourceState::Done => {
            format!("done     {:>9} entries  {path}", count(source.entries as u64))
        }
        SourceState::Waiting => format!("waiting  {path}"),
        // The reason names the file.
        SourceState::Failed(why) => format!("failed   {why}"),
    };
    for note in &source.notes {
        line += &format!("\n         {note}");
    }
    line
}

fn show(standing: &Standing, secs: f64) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let rate = standing.tokens_fed as f64 / secs.max(1e-9);
    let left = (standing.tokens_total - standing.tokens_done) as f64 / rate.max(1e-9);
    let name = standing.path.file_name().unwrap_or_default().to_string_lossy();
    let mut out = std::io::stderr().lock();
    write!(
        out,
        "\r\x1b[2K{} of {}: {name}  {} %  {rate:.0} tokens/s, about {} left in this file",
        standing.files_done + 1,
        standing.files_total,
        100 * standing.tokens_done / standing.tokens_total.max(1),
        seconds(left)
    )
    .ok();
    out.flush().ok();
}

fn clear() {
    if std::io::stderr().is_terminal() {
        write!(std::io::stderr().lock(), "\r\x1b[2K").ok();
    }
}
