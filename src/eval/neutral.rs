//! Text that no domain's vector should change: everyday questions in held-out phrasings with their
//! stored answers, and the model's perplexity on those.

use anyhow::Result;

use super::levels::log_probabilities;
use crate::learn::preference::encoding::{self, Encoded};
use crate::learn::text::Source;
use crate::model::{Language, Runner};

/// Up to `most` everyday exchanges, in the source's order; those with slots are left out.
///
/// # Errors
/// When a text cannot be encoded.
pub fn exchanges(source: &Source, language: &Language, most: usize) -> Result<Vec<Encoded>> {
    let plain = |texts: &[String]| texts.iter().find(|text| !text.contains('{')).cloned();
    let pairs = source
        .topics
        .iter()
        .filter_map(|topic| Some((plain(&topic.held_out)?, plain(&topic.say)?)));
    pairs.take(most).map(|(ask, say)| encoding::encode(language, &ask, &[&say])).collect()
}

/// Perplexity per token of the answers.
///
/// # Errors
/// When a pass fails.
pub fn perplexity(runner: &mut dyn Runner, exchanges: &[Encoded]) -> Result<f64> {
    let (mut sum, mut tokens) = (0.0, 0);
    for exchange in exchanges {
        sum += log_probabilities(runner, exchange)?.iter().sum::<f64>();
        tokens += exchange.answers.iter().map(Vec::len).sum::<usize>();
    }
    Ok((-sum / tokens.max(1) as f64).exp())
}
