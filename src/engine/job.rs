//! What the worker is asked for: a reply, or one made again as its recipe says.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::{Context, Result};

use super::guides::RecipeGuide;
use super::pair::RecipeAligned;
use super::reward::RecipeReward;
use super::stores::RecipeStore;
use super::vectors::RecipeVector;
use super::{Opening, Prompt, Recipe, ReplyRequest};
use crate::decode::Passes;
use crate::model::ModelFacts;
use crate::platform::Problem;
use crate::steer::Plan;

/// A reply to make, or to make again.
pub struct Job {
    pub(super) number: u64,
    pub(super) asked: Instant,
    pub(super) request: ReplyRequest,
    /// The reply's number in every draw: the request's, or the one of the recipe replayed.
    pub(super) draws_as: u64,
    /// Changes of plan to make again, each before this token of the reply.
    pub(super) changes: VecDeque<(usize, Plan)>,
    /// The prompt a replay must have been given.
    pub(super) expects_prompt: Option<String>,
    /// The passes a replay makes again.
    pub(super) again: Option<Passes>,
    /// The vectors a replay must find as they were.
    pub(super) expects_vectors: Vec<RecipeVector>,
    /// The aligned models it was mixed with.
    pub(super) expects_aligned: VecDeque<RecipeAligned>,
    /// The reward adapter a replay must find as it was.
    pub(super) expects_reward: Option<RecipeReward>,
    /// The guides a replay must find as they were.
    pub(super) expects_guides: Vec<RecipeGuide>,
    /// The datastores a replay must find as they were.
    pub(super) expects_stores: Vec<RecipeStore>,
}

impl Job {
    /// A new reply.
    pub fn new(number: u64, asked: Instant, request: ReplyRequest) -> Self {
        let draws_as = request.id;
        Self {
            number,
            asked,
            request,
            draws_as,
            changes: VecDeque::new(),
            expects_prompt: None,
            again: None,
            expects_vectors: Vec::new(),
            expects_aligned: VecDeque::new(),
            expects_reward: None,
            expects_guides: Vec::new(),
            expects_stores: Vec::new(),
        }
    }

    /// A reply made again. Errors when the recipe is of another model or template.
    pub fn replay(
        number: u64,
        asked: Instant,
        id: u64,
        recipe: &Recipe,
        prompt: Prompt,
        opening: Opening,
        facts: &ModelFacts,
    ) -> Result<Self> {
        if recipe.model_fingerprint != facts.fingerprint {
            let what = format!(
                "this reply was made with {} ({}), and {} ({}) is loaded",
                recipe.model_name, recipe.model_fingerprint, facts.name, facts.fingerprint
            );
            return Err(Problem::new(what).hint("load that model to replay it").into());
        }
        let chat = matches!(prompt, Prompt::Chat(_));
        if chat && recipe.template_fingerprint != facts.template_fingerprint {
            let what = "this reply was made with another chat template than the model has now";
            return Err(Problem::new(what).hint("load the model with that template").into());
        }
        let read = |text: &str| toml::from_str::<Plan>(text).context("the recipe's plan");
        let plan = read(&recipe.plan)?;
        let changes = recipe
            .plan_changes
            .iter()
            .map(|(before, text)| Ok((*before, read(text)?)))
            .collect::<Result<_>>()?;
        let expects = &recipe.prompt_fingerprint;
        let expects_prompt = (!expects.is_empty()).then(|| expects.clone());
        let request = ReplyRequest { id, prompt, opening, plan };
        let (draws_as, again) = (recipe.reply, Some(recipe.passes.clone()));
        let expects_vectors = recipe.vectors.clone();
        let expects_reward = recipe.reward.clone();
        let expects_stores = recipe.stores.clone();
        Ok(Self {
            number,
            asked,
            request,
            draws_as,
            changes,
            expects_prompt,
            again,
            expects_vectors,
            expects_aligned: recipe.aligned.iter().cloned().collect(),
            expects_reward,
            expects_guides: recipe.guides.clone(),
            expects_stores,
        })
    }
}
