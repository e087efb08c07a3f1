//! What a model will take before anything of it is read: memory for its weights in every form,
//! memory for its context, and whether that fits.

use anyhow::Result;
use candle_core::Device;

use super::text::folds_system;
use crate::model::beside;
use crate::model::chat_template::ChatTemplate;
use crate::model::checkpoint::{Checkpoint, describe};
use crate::model::decoder::DecoderSpec;
use crate::model::weights::{self, Matrix, WeightForm};
use crate::model::{DoesNotFit, LoadOptions, ModelFacts};
use crate::platform::Problem;

/// Of a context chosen by memory no less than this is worth loading a model for.
const LEAST_CONTEXT: usize = 512;
/// Of the free memory, what a model may take in all: the rest of the computer works on.
const SHARE_OF_FREE: f64 = 0.9;

/// What the files alone tell of a model.
#[derive(Debug)]
pub struct Outlook {
    pub facts: ModelFacts,
    pub spec: DecoderSpec,
    /// Bytes of all weights in each form, on a CPU.
    pub forms: Vec<(WeightForm, u64)>,
    /// Bytes of keys and values per position and row.
    pub cache_bytes_per_token: u64,
    matrices: Vec<Matrix>,
    /// Tensors that keep their form whatever is chosen: norms, biases, an embedding of its own.
    other_bytes: u64,
}

/// How a model is to be loaded so that it fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    pub form: WeightForm,
    /// What the window says of the weights.
    pub phrase: String,
    /// Empty when every number is held as the file has it, else the form.
    pub rounded_to: String,
    pub context_length: usize,
    pub weight_bytes: u64,
    pub cache_bytes: u64,
}

/// Looks at a checkpoint. Errors when its family is unknown, its config means nothing, or its
/// tensors are not those the config asks for.
pub fn outlook(checkpoint: &Checkpoint) -> Result<Outlook> {
    let spec = DecoderSpec::from_config(&checkpoint.config)
        .map_err(|error| Problem::new(format!("{error:#}")).at(&checkpoint.path))?;
    outlook_of(checkpoint, spec)
}

/// The same for a decoder that is described otherwise than its config would have it.
pub fn outlook_of(checkpoint: &Checkpoint, spec: DecoderSpec) -> Result<Outlook> {
    let matrices = spec.matrices(checkpoint)?;
    let stored = spec.memory_estimate(checkpoint, WeightForm::Stored, 0, true)?.weight_bytes;
    let other_bytes = stored.saturating_sub(bytes_in(&matrices, WeightForm::Stored, true));
    let forms = [
        WeightForm::Stored,
        WeightForm::F32,
        WeightForm::BF16,
        WeightForm::F16,
        WeightForm::Q8_0,
        WeightForm::Q4K,
    ];
    let forms = forms
        .into_iter()
        .map(|form| (form, other_bytes + bytes_in(&matrices, form, true)))
        .collect();
    let cache_bytes_per_token = spec.cache_bytes(1);
    let mut facts = describe(checkpoint);
    facts.context_length = spec.context_length;
    facts.family = spec.family.name().to_owned();
    facts.vectors = beside::vectors(&checkpoint.path);
    facts.rewards = beside::rewards(&checkpoint.path);
    facts.reward_memory = beside::reward_memory(&facts.rewards, &spec);
    facts.guides = beside::guides(&checkpoint.path);
    facts.scorers = beside::scorers(&checkpoint.path);
    // One that cannot be read is told of when the model is loaded.
    if let Ok(Some(template)) = ChatTemplate::from_checkpoint(checkpoint)
        && folds_system(&template)
    {
        facts.system_folded = true;
        let how = "goes before the first message: the chat template has no place for it";
        facts.details.push(("System prompt".to_owned(), how.to_owned()));
    }
    Ok(Outlook { facts, spec, forms, cache_bytes_per_token, matrices, other_bytes })
}

fn bytes_in(matrices: &[Matrix], form: WeightForm, on_cpu: bool) -> u64 {
    matrices.iter().map(|matrix| matrix.bytes(form, on_cpu)).fold(0, u64::saturating_add)
}

impl Outlook {
    /// Chooses form and context so that the model fits `free` bytes; `None` is unknown, and then
    /// nothing is refused.
    pub fn fit(&self, device: &Device, options: &LoadOptions, free: Option<u64>) -> Result<Fitted> {
        let asked_context = options.context_length;
        if asked_context == Some(0) {
            let hint = "ask for at least 1, or leave it out";
            return Err(Problem::new("a context of no tokens at all was asked for")
                .hint(hint)
                .into());
        }
        let choice = weights::choose_for(&self.matrices, device, &options.weights, free)?;
        let weight_bytes = choice.bytes.saturating_add(self.other_bytes);
        let longest = self.spec.context_length.max(1);
        let budget = free.map(|free| (free as f64 * SHARE_OF_FREE) as u64);
        let taken = weight_bytes.saturating_add(self.working_bytes());
        let affordable = budget.map_or(usize::MAX, |budget| {
            let left = budget.saturating_sub(taken) / self.cache_bytes_per_token.max(1);
            usize::try_from(left).unwrap_or(usize::MAX)
        });
        let wanted = asked_context.unwrap_or_else(|| affordable.min(longest));
        let least = asked_context.unwrap_or(LEAST_CONTEXT.min(longest));
        let cache_bytes = self.cache_bytes_per_token.saturating_mul(wanted as u64);
        if affordable < wanted.max(least) {
            let least_bytes = self.cache_bytes_per_token.saturating_mul(least as u64);
            let needed = taken.saturating_add(least_bytes);
            return Err(self.refuse(device, needed, least, free.unwrap_or(0)).into());
        }
        Ok(Fitted {
            form: choice.form,
            phrase: choice.phrase,
            rounded_to: if choice.exact { String::new() } else { choice.form.to_string() },
            context_length: wanted,
            weight_bytes,
            cache_bytes,
        })
    }

    /// Activations of one chunk of a prefill, and a row of logits.
    fn working_bytes(&self) -> u64 {
        let width = self.spec.hidden_size + self.spec.mlp.intermediate_size;
        4 * (128 * 8 * width + 8 * self.spec.vocab_size) as u64
    }

    fn refuse(&self, device: &Device, needed: u64, context: usize, free: u64) -> DoesNotFit {
        let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let mut ways = Vec::new();
        let budget = (free as f64 * SHARE_OF_FREE) as u64;
        let on_cpu = device.is_cpu();
        let fixed = self.other_bytes + self.working_bytes();
        let shortest = self.cache_bytes_per_token * LEAST_CONTEXT.min(context) as u64;
        for form in [WeightForm::Q8_0, WeightForm::Q4K] {
            let bytes = fixed + bytes_in(&self.matrices, form, on_cpu);
            if bytes + shortest <= budget {
                ways.push(format!("take {form} weights ({})", gb(bytes)));
                break;
            }
        }
        let cache = self.cache_bytes_per_token * context as u64;
        let left = budget.saturating_sub(needed.saturating_sub(cache));
        let tokens = left / self.cache_bytes_per_token.max(1);
        if tokens >= LEAST_CONTEXT as u64 {
            ways.push(format!("take a context of {tokens} tokens or fewer"));
        }
        if ways.is_empty() {
            ways.push("close other programs, or take a smaller model".to_owned());
        }
        let message = format!(
            "{} needs {} of memory with a context of {context} tokens, and {} are free; {}",
            self.facts.name,
            gb(needed),
            gb(free),
            ways.join(", or ")
        );
        DoesNotFit { needed, free, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::StoredType;

    /// A model of 10 MB of f16 weights whose context takes 4,096 bytes a token.
    fn outlook() -> Outlook {
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": 1024, "hidden_size": 128,
            "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
            "intermediate_size": 256, "rms_norm_eps": 1e-5, "max_position_embeddings": 8192,
            "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu",
        });
        let spec = DecoderSpec::from_config(&config).unwrap();
        let matrix = Matrix { stored: StoredType::F16, rows: 5120, columns: 1024 };
        let facts = ModelFacts { name: "small".into(), ..ModelFacts::default() };
        Outlook {
            facts,
            spec,
            forms: Vec::new(),
            cache_bytes_per_token: 4096,
            matrices: vec![matrix],
            other_bytes: 0,
        }
    }

    fn fit(weights: &str, context: Option<usize>, free_mb: u64) -> Result<Fitted> {
        let options = LoadOptions {
            weights: weights.into(),
            context_length: context,
            ..LoadOptions::default()
        };
        outlook().fit(&Device::Cpu, &options, Some(free_mb * 1_000_000))
    }

    fn refusal(result: Result<Fitted>) -> DoesNotFit {
        result.unwrap_err().downcast::<DoesNotFit>().unwrap()
    }

    #[test]
    fn takes_the_models_own_context_where_it_fits() {
        let fitted = fit("stored", None, 1000).unwrap();
        assert_eq!((fitted.context_length, fitted.cache_bytes), (8192, 8192 * 4096));
        assert_eq!(fitted.weight_bytes, 2 * 5120 * 1024);
        assert_eq!(outlook().fit(&Device::Cpu, &LoadOptions::default(), None).unwrap().form, {
            weights::choose_for(&outlook().matrices, &Device::Cpu, "auto", None).unwrap().form
        });
    }

    #[test]
    fn shortens_the_context_to_what_memory_allows() {
        let fitted = fit("stored", None, 30).unwrap();
        assert!((512..8192).contains(&fitted.context_length), "{fitted:?}");
        let all = fitted.weight_bytes + fitted.cache_bytes;
        assert!(all <= 27_000_000, "{all}");
    }

    #[test]
    fn refuses_with_the_numbers_and_what_to_do() {
        let short = refusal(fit("stored", Some(8192), 30));
        assert!(short.message.contains("context of 8192 tokens"), "{}", short.message);
        assert!(short.message.contains("tokens or fewer"), "{}", short.message);
        assert!(short.needed > short.free);
        let tight = refusal(fit("f32", None, 20));
        assert!(tight.message.contains("q4_k") || tight.message.contains("q8_0"), "{tight}");
        let hopeless = refusal(fit("stored", None, 1));
        assert!(hopeless.message.contains("smaller model"), "{hopeless}");
    }

    #[test]
    fn a_context_of_nothing_is_refused() {
        assert!(fit("auto", Some(0), 1000).unwrap_err().to_string().contains("no tokens"));
        assert_eq!(fit("auto", Some(10), 1000).unwrap().context_length, 10);
    }
}
