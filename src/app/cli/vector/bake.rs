//! `tiller vector ties` and `dare`: vectors put together offline, value by value.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::combine::{read, same_base, write};
use crate::model::vector::bake;
use crate::model::vector::{Facts, Vector};
use crate::platform::Problem;

#[derive(Debug, Args)]
pub struct TiesArgs {
    /// The vectors, of one base.
    #[arg(required = true, num_args = 1..)]
    vectors: Vec<PathBuf>,
    /// The share of each vector's values that is kept, the largest first.
    #[arg(long, default_value_t = 0.2)]
    density: f64,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub struct DareArgs {
    /// The vector.
    vector: PathBuf,
    /// The share of its values that is dropped.
    #[arg(long, default_value_t = 0.9)]
    drop: f64,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn ties(args: &TiesArgs) -> Result<()> {
    let vectors: Vec<Vector> =
        args.vectors.iter().map(|path| Ok(read(path)?.0)).collect::<Result<_>>()?;
    for (vector, path) in vectors.iter().zip(&args.vectors) {
        same_base(&vectors[0], vector, path)?;
    }
    let baked = at(&args.vectors[0], bake::ties(&vectors, args.density))?;
    let names: Vec<&str> = vectors.iter().map(|vector| vector.name.as_str()).collect();
    let how = format!("TIES at density {} of {}", args.density, names.join(", "));
    write(&args.out, &baked, &Facts::default(), how)
}

pub fn dare(args: &DareArgs) -> Result<()> {
    let (vector, facts) = read(&args.vector)?;
    let baked = at(&args.vector, bake::dare(&vector, args.drop, args.seed))?;
    let how = format!("DARE of {}, {} dropped, seed {}", vector.name, args.drop, args.seed);
    write(&args.out, &baked, &facts, how)
}

/// Names the file in an error of the arithmetic.
fn at<T>(path: &Path, result: Result<T>) -> Result<T> {
    result.map_err(|error| Problem::new(error.to_string()).at(path).into())
}
