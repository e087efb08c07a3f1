//! What is remembered of every token: captured in the pass that made it, never by a second one.

use serde::{Deserialize, Serialize};

/// One of the most probable tokens at a position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// Token id.
    pub id: u32,
    /// The token's own text; bytes that are no whole character show as `<0xE4>`.
    pub text: String,
    /// Natural-log probability before penalties, temperature and truncation.
    pub logprob: f32,
}

/// One token of a reply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenTrace {
    /// Token id.
    pub id: u32,
    /// Whole characters this token added to the reply. The texts of all tokens, joined, are the
    /// reply exactly; a token that ends inside a character adds nothing, the one that completes it
    /// adds the character.
    pub text: String,
    /// Natural-log probability before penalties, temperature and truncation.
    pub logprob: f32,
    /// Entropy of that distribution, in nats.
    pub entropy: f32,
    /// The ten most probable tokens, most probable first, lowest id first on ties.
    pub alternatives: Vec<Alternative>,
    /// What the text up to and with this token is thought to be worth, in the units of the reward
    /// adapter in play; finite. `None` without one, and for a last token that no pass read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f32>,
}
