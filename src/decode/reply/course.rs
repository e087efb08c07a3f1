//! What a reply begins with, what each advance of it brings, and why it ends.

use crate::decode::mix::Mix;
use crate::decode::passes::Passes;
use crate::session::TokenTrace;

/// What a reply begins with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplyStart {
    /// Number of the reply: with the plan's seed it fixes every draw.
    pub reply: u64,
    /// Prompt, and the given beginning of the reply.
    pub ids: Vec<u32>,
    /// How many of `ids` are the prompt; the rest begins the reply.
    pub prompt_len: usize,
    /// The reply goes on where text stopped, rather than opening a message of its own.
    pub continues_text: bool,
    /// For a replay: how the cache the reply was made over had come to be.
    pub again: Option<Passes>,
    /// The strengths of the vectors, which the caller has attached.
    pub mix: Mix,
    /// The unit of strength of the reward adapter in play, where there is one and it has one.
    pub reward_unit: Option<f32>,
}

/// Why a reply ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    EndOfText,
    StopString(String),
    MaxTokens,
    ContextFull,
}

/// What one advance brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Prompt tokens in the cache, of how many.
    Prefilled { done: usize, total: usize },
    /// Tokens whose text is settled; none while text is held back.
    Tokens(Vec<TokenTrace>),
    /// The last tokens, and why there are no more.
    Ended(Vec<TokenTrace>, Ending),
}
