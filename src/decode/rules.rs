//! The hook between logits and sampler: rules that steer the distribution, in order. An empty
//! list is not called and costs nothing, so a reply without rules is the plain model to the bit.

use anyhow::Result;

use crate::session::TokenReferences;

/// Where a rule is applied.
#[derive(Debug, Clone, Copy)]
pub struct Position<'a> {
    /// Prompt and reply so far, oldest first.
    pub ids: &'a [u32],
    /// Where the reply begins in `ids`.
    pub reply_start: usize,
    /// The row's final hidden state, `[hidden_size]`, f32, after the final norm.
    pub hidden: &'a [f32],
}

/// Changes the logits of one position before penalties and sampling.
pub trait TokenRule: Send {
    /// For errors.
    fn name(&self) -> &str;
    /// Changes `logits`, `[vocab_size]`, in place.
    fn apply(&mut self, logits: &mut [f32], position: Position<'_>) -> Result<()>;
    /// What passages did to the token that was then drawn; asked once for each position.
    fn references(&mut self, _token: u32) -> Option<TokenReferences> {
        None
    }
}

impl<T: TokenRule + ?Sized> TokenRule for &mut T {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn apply(&mut self, logits: &mut [f32], position: Position<'_>) -> Result<()> {
        (**self).apply(logits, position)
    }

    fn references(&mut self, token: u32) -> Option<TokenReferences> {
        (**self).references(token)
    }
}
