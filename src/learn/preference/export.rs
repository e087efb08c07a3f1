//! What a run leaves behind: the vector's file, with how it was made among its facts.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::arguments::VectorArgs;
use super::base_model::{self, BaseModel};
use super::data::Data;
use super::learner::Standing;
use super::objective::Objective;
use crate::learn::base::export::named;
use crate::model::chat_template::ChatTemplate;
use crate::model::vector::{Facts, Kind, Part, Vector, file};
use crate::platform::Problem;

/// Writes the vector's file.
///
/// # Errors
/// When a value is no longer finite or the file cannot be written.
pub fn write(
    args: &VectorArgs,
    base: &BaseModel,
    data: &Data,
    after: &Standing,
    seconds: f64,
) -> Result<()> {
    let parts = match base.network.adapters() {
        Some(adapters) => adapters.parts(&base.network.shape)?,
        None => full(base)?,
    };
    let vector = Vector {
        name: args.name(),
        base_fingerprint: Some(base.fingerprint.clone()),
        base_name: base.checkpoint.name.clone(),
        parts,
    };
    let template = ChatTemplate::from_checkpoint(&base.checkpoint)?;
    let facts = Facts {
        kind: if args.full { Kind::Full } else { Kind::Lora },
        domain: args.domain.clone().unwrap_or_default(),
        template_hash: template.map(|t| t.fingerprint().to_owned()).unwrap_or_default(),
        how_made: how_made(args, data, after),
        created: jiff::Timestamp::now().to_string(),
        training_seconds: Some(seconds),
        ..Facts::default()
    };
    file::write(&args.out, &vector, &facts, args.precision.into())
        .with_context(|| Problem::new("the vector cannot be written").at(&args.out))
}

fn how_made(args: &VectorArgs, data: &Data, after: &Standing) -> String {
    let what = match args.full {
        true => "all weights".to_owned(),
        false => format!("LoRA of rank {} and alpha {}", args.rank, args.alpha()),
    };
    let loss = match (args.objective, args.nll_weight) {
        (Objective::Likelihood, _) => args.objective.name().to_owned(),
        (preference, 0.0) => format!("{} with b {}", preference.name(), args.b),
        (preference, weight) => {
            format!("{} with b {} and likelihood at weight {weight}", preference.name(), args.b)
        }
    };
    let epochs = if args.epochs == 1 { "epoch" } else { "epochs" };
    format!(
        "{loss}, {what}, learning rate {:e}, {} {epochs} of {} pairs in batches of {}, seed \
         {}; of {} held-out pairs {:.1} % preferred",
        args.learning_rate(),
        args.epochs,
        data.training.len(),
        args.batch,
        args.seed,
        data.held_out.len(),
        100.0 * after.accuracy
    )
}

/// The trained weights minus the stored ones, in f32.
fn full(base: &BaseModel) -> Result<BTreeMap<String, Part>> {
    let mut parts = BTreeMap::new();
    for (name, shape, mut values) in named(&base.network)? {
        let stored = base_model::tensor(&base.checkpoint, &name, &shape)?;
        values.iter_mut().zip(&stored).for_each(|(value, stored)| *value -= stored);
        if values.iter().any(|value| *value != 0.0) {
            parts.insert(name, Part::Full { shape, values });
        }
    }
    Ok(parts)
}
