//! The second model during one reply: loaded when a plan first asks for it, read on between tokens,
//! noted in the recipe.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::pair::{Pair, RecipeAligned};
use super::shared::Teller;
use super::{Event, Recipe};
use crate::decode::TokenRule;
use crate::model::{LoadOptions, Loader, Model};
use crate::platform::Cancelled;
use crate::steer::MixtureSetting;

/// Between two reports of a load's progress.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// Brings an aligned model into memory beside another and tells how that goes.
///
/// # Errors
/// When it cannot be used; that was told already. `Cancelled` when `goes_on` said no.
pub fn load(
    pair: &mut Pair,
    path: &Path,
    base: &Model,
    options: &LoadOptions,
    loader: &dyn Loader,
    teller: &Teller,
    goes_on: &dyn Fn() -> bool,
) -> Result<()> {
    let mut reported: Option<Instant> = None;
    let mut progress = |bytes_done: u64, bytes_total: u64| {
        if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            reported = Some(Instant::now());
            let path = path.to_path_buf();
            teller.tell(Event::AlignedProgress { path, bytes_done, bytes_total });
        }
        goes_on()
    };
    let event = match pair.fetch(path, base, options, loader, &mut progress) {
        Ok(None) => return Ok(()),
        Ok(Some(facts)) => Event::AlignedLoaded(Box::new(facts.clone())),
        Err(error) => {
            teller.tell(match error.is::<Cancelled>() {
                true => Event::AlignedDropped,
                false => {
                    Event::AlignedFailed { path: path.to_path_buf(), message: format!("{error:#}") }
                }
            });
            return Err(error);
        }
    };
    teller.tell(event);
    Ok(())
}

/// What a reply needs to mix.
pub struct Mixing<'a> {
    pub pair: &'a mut Pair,
    pub options: &'a LoadOptions,
    pub loader: &'a dyn Loader,
    pub teller: &'a Teller,
    /// False once the reply is to end.
    pub goes_on: &'a dyn Fn() -> bool,
    /// Of a replay: what came into play, in order.
    pub expected: VecDeque<RecipeAligned>,
    /// What has come into play in this reply.
    pub begun: Option<PathBuf>,
}

impl Mixing<'_> {
    /// Loads what a setting asks for, unless it is at 0.
    ///
    /// # Errors
    /// See [`load`].
    pub fn fetch(&mut self, setting: Option<&MixtureSetting>, base: &Model) -> Result<()> {
        let Some(setting) = in_play(setting) else { return Ok(()) };
        let Self { pair, options, loader, teller, goes_on, .. } = self;
        load(pair, &setting.aligned, base, options, *loader, teller, *goes_on)
    }

    /// Makes the next of what stands between the model and a mixed token: loading, or one pass over
    /// what was not read. `None` when the token can be mixed.
    ///
    /// # Errors
    /// When the model cannot be used, or a pass fails.
    pub fn prepare(
        &mut self,
        setting: Option<&MixtureSetting>,
        base: &Model,
        ids: &[u32],
        recipe: &mut Recipe,
    ) -> Result<Option<(usize, usize)>> {
        let Some(playing) = in_play(setting) else { return Ok(None) };
        self.fetch(setting, base)?;
        if self.begun.as_ref() != Some(&playing.aligned) {
            let made_with = self.expected.pop_front();
            self.pair.begin(ids, made_with.as_ref())?;
            recipe.aligned.extend(made_with.or_else(|| self.pair.recipe()));
            self.begun = Some(playing.aligned.clone());
        }
        self.pair.read_on(ids)
    }

    /// The second model is called at all.
    pub fn is_in_play(&self, setting: Option<&MixtureSetting>) -> bool {
        in_play(setting).is_some()
    }

    /// The rule that mixes; `None` at strength 0.
    ///
    /// # Errors
    /// When the strength means nothing.
    pub fn rule(&mut self, setting: Option<&MixtureSetting>) -> Result<Option<&mut dyn TokenRule>> {
        in_play(setting).map_or(Ok(None), |setting| self.pair.rule(setting))
    }
}

fn in_play(setting: Option<&MixtureSetting>) -> Option<&MixtureSetting> {
    setting.filter(|setting| setting.strength != 0.0)
}
