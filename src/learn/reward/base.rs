//! A base in memory with the lessons that streams are trained on beside it: what is computed of it
//! for one stream serves the next.

use std::sync::Arc;

use anyhow::Result;
use candle_core::Device;

use super::arguments::{RewardArgs, StreamArgs};
use super::own;
use super::records::Records;
use super::stream::{self, Stream};
use super::texts::Lessons;
use crate::model::checkpoint::Checkpoint;
use crate::model::decoder::DecoderSpec;
use crate::model::{LoadOptions, ModelFacts, load};
use crate::platform::{Cancelled, Problem};

/// Most tokens of prompt and answer when nothing is said and the model would take more.
const MOST_TOKENS: usize = 1024;

/// The base, its lessons and its records.
pub struct Base {
    pub model: ModelFacts,
    pub lessons: Lessons,
    checkpoint: Checkpoint,
    records: Arc<Records>,
    device: Device,
}

/// Opens the base's files; how many tokens a text may have.
pub(super) fn checkpoint(args: &RewardArgs) -> Result<(Checkpoint, usize)> {
    let checkpoint = Checkpoint::open(&args.base)?;
    let own = DecoderSpec::from_config(&checkpoint.config)?.context_length;
    Ok((checkpoint, args.context.unwrap_or(MOST_TOKENS).min(own)))
}

impl Base {
    /// Loads the base and reads the lessons; `others` are to be trained beside it as well as what
    /// the arguments name.
    ///
    /// # Errors
    /// When the base cannot be loaded in the wanted form, or there is nothing to learn from.
    pub fn open(
        args: &RewardArgs,
        others: &[StreamArgs],
        cancelled: &impl Fn() -> bool,
        tell: &mut impl FnMut(&str),
    ) -> Result<Self> {
        let (checkpoint, context) = checkpoint(args)?;
        let options = LoadOptions {
            device: args.device.clone(),
            weights: args.weights.clone(),
            context_length: Some(context + 1),
        };
        let outlook = load::outlook(&checkpoint)?;
        let (mut decoder, model, language) =
            load::decoder(&checkpoint, outlook, &options, &mut |_, _| !cancelled())?;
        if let Some(wanted) = args.rounded_to.as_ref().filter(|wanted| **wanted != model.rounded_to)
        {
            let said = |form: &str| match form {
                "" => "as its file has it".to_owned(),
                form => format!("rounded to {form}"),
            };
            let (is, wanted) = (said(&model.rounded_to), said(wanted));
            let what = format!("the model would be trained with {is} and is to run {wanted}");
            let hint = "free some memory, or load the model with other weights";
            return Err(Problem::new(what).at(&args.base).hint(hint).into());
        }
        let mut lessons = Lessons::read(args.files(), &language, context, tell)?;
        lessons.keep(args.most, args.most_held_out, args.schedule.seed);
        if args.stream.drafts > 0 {
            let go_on = || if cancelled() { Err(Cancelled.into()) } else { Ok(()) };
            own::answer(&mut decoder, &language, &mut lessons, context, go_on, tell)?;
        }
        let device = decoder.device();
        let texts = Arc::new(lessons.texts.clone());
        let spec = decoder.spec();
        let own = stream::layout(&args.stream, spec);
        let layout = others.iter().fold(own, |all, one| all.with(&stream::layout(one, spec)));
        let records = Arc::new(Records::new(decoder, layout, texts));
        if let Some(folder) = &args.cache {
            let bytes = records.keep_in(folder)? as f64;
            tell(&format!("the base's activations are kept, {:.1} GB in all", bytes / 1e9));
        }
        Ok(Self { model, lessons, checkpoint, records, device })
    }

    /// A stream as it begins beside it.
    ///
    /// # Errors
    /// When its sizes and the base do not go together, or it reads what is not recorded.
    pub fn stream(&self, args: &StreamArgs, seed: u64) -> Result<Stream> {
        let (records, device) = (self.records.clone(), &self.device);
        Stream::beside(args, seed, records, &self.checkpoint, &self.model, device)
    }
}
