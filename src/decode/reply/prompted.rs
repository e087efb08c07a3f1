//! A reply whose prompt is in the cache and whose first token is not drawn yet: what a search over
//! several rows takes over.

use super::Reply;
use crate::decode::mix::{Knobs, Mix};
use crate::decode::passes::Passes;
use crate::model::{Language, StepOutput};
use crate::steer::Plan;

/// The parts of a reply before its first token.
pub struct Prompted<'a> {
    pub(in crate::decode) language: &'a Language,
    pub(in crate::decode) plan: Plan,
    pub(in crate::decode) bias: Vec<(u32, f32)>,
    pub(in crate::decode) reply: u64,
    pub(in crate::decode) prompt_len: usize,
    /// Prompt and opening; all of them are in the cache.
    pub(in crate::decode) ids: Vec<u32>,
    pub(in crate::decode) passes: Passes,
    pub(in crate::decode) knobs: &'a mut Knobs,
    pub(in crate::decode) mix: Mix,
    /// The outcome of the pass over the last of `ids`.
    pub(in crate::decode) output: StepOutput,
    pub(in crate::decode) continues_text: bool,
}

impl<'a> Reply<'a> {
    /// What steers it now.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// True once the prompt is in the cache and nothing has been drawn.
    pub fn is_prompted(&self) -> bool {
        self.output.is_some() && self.drawn() == 0 && self.again.is_none() && !self.over
    }

    /// Hands over to a search. `continues_text` as in `ReplyStart`.
    ///
    /// # Errors
    /// The reply itself when it is not `is_prompted`.
    pub fn into_prompted(mut self, continues_text: bool) -> Result<Prompted<'a>, Box<Self>> {
        if !self.is_prompted() {
            return Err(Box::new(self));
        }
        let Some(output) = self.output.take() else { return Err(Box::new(self)) };
        Ok(Prompted {
            language: self.language,
            plan: self.plan,
            bias: self.bias,
            reply: self.reply,
            prompt_len: self.prompt_len,
            ids: self.ids,
            passes: self.passes,
            knobs: self.knobs,
            mix: self.mix,
            output,
            continues_text,
        })
    }
}
