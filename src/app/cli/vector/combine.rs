//! `tiller vector orthogonalise` and `share`: vectors out of vectors, against interference.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::app::cli::output::put_line;
use crate::model::vector::algebra::{orthogonalised, shared_and_residuals};
use crate::model::vector::{Facts, Kind, Part, Vector, file, open_with_facts};
use crate::platform::Problem;

#[derive(Debug, Args)]
pub struct OrthogonaliseArgs {
    /// The vector to change.
    vector: PathBuf,
    /// The vector whose component is taken out.
    #[arg(long, value_name = "PATH")]
    against: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct ShareArgs {
    /// The vectors, two or more, of one base.
    #[arg(required = true, num_args = 2..)]
    vectors: Vec<PathBuf>,
    /// The folder for shared.safetensors and one file per vector.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub fn orthogonalise(args: &OrthogonaliseArgs) -> Result<()> {
    let (vector, facts) = read(&args.vector)?;
    let (against, _) = read(&args.against)?;
    same_base(&vector, &against, &args.against)?;
    let left = orthogonalised(&vector, &against)
        .map_err(|error| Problem::new(error.to_string()).at(&args.against))?;
    let how = format!("{} without its component along {}", vector.name, against.name);
    write(&args.out, &left, &facts, how)
}

pub fn share(args: &ShareArgs) -> Result<()> {
    let read: Vec<(Vector, Facts)> =
        args.vectors.iter().map(|path| read(path)).collect::<Result<_>>()?;
    for ((vector, _), path) in read.iter().zip(&args.vectors) {
        same_base(&read[0].0, vector, path)?;
    }
    let (vectors, facts): (Vec<Vector>, Vec<Facts>) = read.into_iter().unzip();
    let (shared, residuals) = shared_and_residuals(&vectors)
        .map_err(|error| Problem::new(error.to_string()).at(&args.vectors[0]))?;
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Problem::new(format!("cannot be made: {error}")).at(&args.out))?;
    let names: Vec<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    let how = format!("the mean of {}", names.join(", "));
    write(&args.out.join("shared.safetensors"), &shared, &Facts::default(), how)?;
    for ((residual, facts), path) in residuals.iter().zip(&facts).zip(&args.vectors) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let how = format!("{} without what it shares with the others", residual.name);
        write(&args.out.join(format!("{stem}-apart.safetensors")), residual, facts, how)?;
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<(Vector, Facts)> {
    let (vector, facts) = open_with_facts(path)?;
    let saved = vector.parts.iter().find(|(_, part)| matches!(part, Part::Replacement { .. }));
    match saved {
        None => Ok((vector, facts)),
        Some((name, _)) => {
            let what = format!("`{name}` was saved whole, and nobody compared it with its base");
            let hint = "run `tiller vector import --base` on it first";
            Err(Problem::new(what).at(path).hint(hint).into())
        }
    }
}

pub(super) fn same_base(one: &Vector, other: &Vector, path: &Path) -> Result<()> {
    match (&one.base_fingerprint, &other.base_fingerprint) {
        (Some(a), Some(b)) if a != b => {
            let what = format!("made with {}, the first with {}", other.base_name, one.base_name);
            Err(Problem::new(what).at(path).hint("give vectors of one base model").into())
        }
        _ => Ok(()),
    }
}

/// What was calibrated is no longer true of the new vector.
pub(super) fn write(path: &Path, vector: &Vector, facts: &Facts, how_made: String) -> Result<()> {
    let low_rank = vector.parts.values().any(|part| matches!(part, Part::LowRank { .. }));
    let facts = Facts {
        kind: if low_rank { Kind::LowRank } else { Kind::Full },
        how_made,
        created: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        calibration: None,
        kept_energy: Default::default(),
        ..facts.clone()
    };
    file::write(path, vector, &facts, file::Precision::F32)?;
    put_line(&format!("wrote {}", path.display()))
}
