//! Reads the config of each known family into a `DecoderSpec`.
//!
//! Defaults are those of the reference implementation's config classes, since real configs leave
//! out what equals them (Gemma 3's nested `text_config` leaves out its head counts).

use anyhow::Result;
use serde_json::Value;

use super::fields::Fields;
use super::limits;
use super::rope::{RopeContext, RopeSpec};
use super::spec::{
    Activation, DecoderSpec, Family, LayerSpec, MlpSpec, Naming, NormKind, NormSpec, Positions,
};
use crate::platform::Problem;

/// Reads any known config; relations between fields are checked by the caller.
pub(super) fn read(config: &Value) -> Result<DecoderSpec> {
    let outer = Fields::new(config, "")?;
    // Multimodal checkpoints nest the text decoder; what stands beside it is not ours to run.
    let fields = outer.object("text_config", "text_config")?.unwrap_or(outer);
    let said = match fields.text("model_type")? {
        Some(name) => name,
        None => outer.text("model_type")?.unwrap_or(""),
    };
    match said {
        "llama" => Common::read(fields, Family::Llama)?.llama(),
        "mistral" => Common::read(fields, Family::Mistral)?.mistral(),
        "qwen2" => Common::read(fields, Family::Qwen2)?.qwen2(),
        "qwen3" => Common::read(fields, Family::Qwen3)?.qwen3(),
        "phi3" => Common::read(fields, Family::Phi3)?.phi3(),
        "gemma2" => Common::read(fields, Family::Gemma2)?.gemma2(),
        "gemma3" | "gemma3_text" => Common::read(fields, Family::Gemma3)?.gemma3(),
        "gpt2" => gpt2(fields),
        "" => Err(Problem::new("the config has no model_type")
            .hint(format!("known families: {}", known()))
            .into()),
        unknown => {
            let said: String = unknown.chars().take(60).collect();
            Err(Problem::new(format!("the model family `{said}` is not supported"))
                .hint(format!("known families: {}", known()))
                .into())
        }
    }
}

fn known() -> String {
    Family::ALL.map(Family::name).join(", ")
}

/// What all families but GPT-2 say in the same words.
struct Common<'a> {
    fields: Fields<'a>,
    layer_count: usize,
    spec: DecoderSpec,
}

impl<'a> Common<'a> {
    fn read(fields: Fields<'a>, family: Family) -> Result<Self> {
        let gemma = matches!(family, Family::Gemma2 | Family::Gemma3);
        let or = |name: &str, most: usize, gemma_says: usize| -> Result<usize> {
            match fields.size(name, most)? {
                Some(size) => Ok(size),
                None if gemma => Ok(gemma_says),
                None => fields.need_size(name, most),
            }
        };
        let hidden_size = or("hidden_size", limits::WIDTH, 2304)?;
        let head_count = or("num_attention_heads", limits::HEADS, 8)?;
        let kv_default = match family {
            Family::Gemma2 | Family::Gemma3 => 4,
            Family::Mistral => 8,
            Family::Qwen2 | Family::Qwen3 => 32,
            _ => head_count,
        };
        let stated = fields.has("num_key_value_heads");
        let kv_head_count = fields
            .size("num_key_value_heads", limits::HEADS)?
            .unwrap_or(if stated { head_count } else { kv_default });
        let head_size = match fields.size("head_dim", limits::HEAD_SIZE)? {
            Some(size) => size,
            None if gemma => 256,
            None if family == Family::Qwen3 => 128,
            None if hidden_size.is_multiple_of(head_count) => hidden_size / head_count,
            None => {
                let why = format!("hidden_size {hidden_size} is no multiple of it");
                return Err(fields.refuse("num_attention_heads", &why));
            }
        };
        let vocabulary = if family == Family::Gemma3 { 262_208 } else { 256_000 };
        let layer_count = or("num_hidden_layers", limits::LAYERS, 26)?;
        let epsilon = fields.number("rms_norm_eps", 1e-12, 1.0)?.unwrap_or(match family {
            Family::Phi3 => 1e-5,
            _ => 1e-6,
        });
        let kind = if gemma { NormKind::RootMeanSquarePlusOne } else { NormKind::RootMeanSquare };
        let activation = match family {
            Family::Gemma2 | Family::Gemma3 => match fields.value("hidden_activation") {
                Some(_) => activation(fields, "hidden_activation")?,
                // Early Gemma 2 configs say `hidden_act`, and mean the tanh form whatever it says.
                None => Activation::GeluTanh,
            },
            _ => match fields.value("hidden_act") {
                Some(_) => activation(fields, "hidden_act")?,
                None => Activation::Silu,
            },
        };
        let default_context = match family {
            Family::Gemma3 => 131_072,
            Family::Gemma2 => 8192,
            Family::Mistral => 131_072,
            Family::Qwen2 | Family::Qwen3 => 32_768,
            Family::Phi3 => 4096,
            _ => 2048,
        };
        let spec = DecoderSpec {
            family,
            vocab_size: or("vocab_size", limits::VOCABULARY, vocabulary)?,
            hidden_size,
            head_count,
            kv_head_count,
            head_size,
            context_length: fields
                .size("max_position_embeddings", limits::CONTEXT)?
                .unwrap_or(default_context),
            norm: NormSpec { kind, epsilon: epsilon as f32 },
            positions: Positions::Rotary(Vec::new()),
            layers: vec![
                LayerSpec {
                    window: None,
                    rope: 0,
                    attention_scale: 1.0 / (head_size as f32).sqrt(),
                };
                layer_count
            ],
            mlp: MlpSpec {
                gated: true,
                activation,
                intermediate_size: or("intermediate_size", limits::INTERMEDIATE, 9216)?,
                bias: false,
            },
            query_key_value_bias: false,
            output_bias: false,
            query_key_norm: false,
            post_norms: false,
            fused_query_key_value: false,
            fused_gate_up: false,
            naming: Naming::Llama,
            tied_head: fields.flag("tie_word_embeddings")?.unwrap_or(gemma),
            attention_soft_cap: None,
            logit_soft_cap: None,
            embedding_scale: None,
            score_head: None,
        };
        Ok(Self { fields, layer_count, spec })
    }

    fn llama(mut self) -> Result<DecoderSpec> {
        self.attention_bias()?;
        self.spec.mlp.bias = self.fields.flag("mlp_bias")?.unwrap_or(false);
        self.one_rope()
    }

    fn mistral(mut self) -> Result<DecoderSpec> {
        let window = self.window(Some(4096))?;
        self.windows(window, |_| true)?;
        self.one_rope()
    }

    fn qwen2(mut self) -> Result<DecoderSpec> {
        self.spec.query_key_value_bias = true;
        self.qwen_windows()?;
        self.one_rope()
    }

    fn qwen3(mut self) -> Result<DecoderSpec> {
        self.attention_bias()?;
        self.spec.query_key_norm = true;
        self.qwen_windows()?;
        self.one_rope()
    }

    fn phi3(mut self) -> Result<DecoderSpec> {
        self.spec.fused_query_key_value = true;
        self.spec.fused_gate_up = true;
        let window = self.window(None)?;
        self.windows(window, |_| true)?;
        self.one_rope()
    }

    fn gemma2(mut self) -> Result<DecoderSpec> {
        self.gemma(Some(50.0), Some(30.0))?;
        let window = self.window(Some(4096))?;
        self.windows(window, |layer| layer % 2 == 0)?;
        self.one_rope()
    }

    fn gemma3(mut self) -> Result<DecoderSpec> {
        self.gemma(None, None)?;
        self.spec.query_key_norm = true;
        if self.fields.flag("use_bidirectional_attention")?.unwrap_or(false) {
            let why = "only causal decoders are supported";
            return Err(self.fields.refuse("use_bidirectional_attention", why));
        }
        let pattern = self.fields.size("sliding_window_pattern", limits::LAYERS)?.unwrap_or(6);
        let window = self.window(Some(4096))?;
        self.windows(window, |layer| (layer + 1) % pattern != 0)?;

        // Layers with a window rotate faster (θ 10⁴) than those that see everything (θ 10⁶), and
        // only the latter are stretched. New configs nest one set of settings per kind of layer.
        let theta = self.fields.number("rope_theta", 1.5, 1e12)?.unwrap_or(1e6);
        let local = self.fields.number("rope_local_base_freq", 1.5, 1e12)?.unwrap_or(1e4);
        let nested = self.fields.object("rope_parameters", "rope_parameters")?;
        let (full, sliding) = match nested {
            Some(nested) => (
                nested.object("full_attention", "rope_parameters.full_attention")?,
                nested.object("sliding_attention", "rope_parameters.sliding_attention")?,
            ),
            None => (self.fields.object("rope_scaling", "rope_scaling")?, None),
        };
        let full = RopeSpec::read(full, &self.rope_context(theta)?)?;
        let sliding = RopeSpec::read(sliding, &self.rope_context(local)?)?;
        for layer in &mut self.spec.layers {
            layer.rope = usize::from(layer.window.is_some());
        }
        self.spec.positions = Positions::Rotary(vec![full, sliding]);
        Ok(self.spec)
    }

    /// What Gemma 2 and Gemma 3 share; the soft caps differ only in their defaults.
    fn gemma(&mut self, attention_cap: Option<f32>, logit_cap: Option<f32>) -> Result<()> {
        self.attention_bias()?;
        self.spec.post_norms = true;
        self.spec.embedding_scale = Some((self.spec.hidden_size as f32).sqrt());
        let scalar = self.fields.number("query_pre_attn_scalar", 1e-3, 1e6)?.unwrap_or(256.0);
        for layer in &mut self.spec.layers {
            layer.attention_scale = (1.0 / scalar.sqrt()) as f32;
        }
        self.spec.attention_soft_cap = self.soft_cap("attn_logit_softcapping", attention_cap)?;
        self.spec.logit_soft_cap = self.soft_cap("final_logit_softcapping", logit_cap)?;
        Ok(())
    }

    /// A soft cap: the family's own when the field is missing, none when it is null.
    fn soft_cap(&self, name: &str, otherwise: Option<f32>) -> Result<Option<f32>> {
        match self.fields.number(name, 1e-3, 1e6)? {
            Some(cap) => Ok(Some(cap as f32)),
            None if self.fields.has(name) => Ok(None),
            None => Ok(otherwise),
        }
    }

    fn attention_bias(&mut self) -> Result<()> {
        let bias = self.fields.flag("attention_bias")?.unwrap_or(false);
        self.spec.query_key_value_bias = bias;
        self.spec.output_bias = bias;
        Ok(())
    }

    /// `sliding_window`: the family's default when missing, none when null.
    fn window(&self, otherwise: Option<usize>) -> Result<Option<usize>> {
        match self.fields.size("sliding_window", limits::CONTEXT)? {
            Some(window) => Ok(Some(window)),
            None if self.fields.has("sliding_window") => Ok(None),
            None => Ok(otherwise),
        }
    }

    fn qwen_windows(&mut self) -> Result<()> {
        let used = self.fields.flag("use_sliding_window")?.unwrap_or(false);
        let window = if used { self.window(Some(4096))? } else { None };
        // From this layer on; a number beyond the last layer means none, so it is not bounded.
        let first = self.fields.value("max_window_layers").and_then(Value::as_u64).unwrap_or(28);
        self.windows(window, |layer| layer as u64 >= first)
    }

    /// Gives a window to the layers `layer_types` names, or to those `otherwise` picks.
    fn windows(&mut self, window: Option<usize>, otherwise: impl Fn(usize) -> bool) -> Result<()> {
        let kinds = self.fields.texts("layer_types", self.layer_count)?;
        for (index, layer) in self.spec.layers.iter_mut().enumerate() {
            let sliding = match &kinds {
                None => otherwise(index),
                Some(kinds) => match kinds[index] {
                    "sliding_attention" => true,
                    "full_attention" => false,
                    _ => {
                        let why = "known are full_attention and sliding_attention";
                        return Err(self.fields.refuse("layer_types", why));
                    }
                },
            };
            layer.window = if sliding { window } else { None };
        }
        Ok(())
    }

    fn rope_context(&self, theta: f64) -> Result<RopeContext> {
        let size = |name: &str| self.fields.size(name, limits::CONTEXT);
        Ok(RopeContext {
            head_size: self.spec.head_size,
            context_length: self.spec.context_length,
            original_context: size("original_max_position_embeddings")?,
            theta,
            partial: self.fields.number("partial_rotary_factor", 0.0, 1.0)?.unwrap_or(1.0),
            yarn_means_longrope: self.spec.family == Family::Phi3,
        })
    }

    /// The same rotary embedding on every layer.
    fn one_rope(mut self) -> Result<DecoderSpec> {
        let theta = self.fields.number("rope_theta", 1.5, 1e12)?.unwrap_or(1e4);
        let settings = match self.fields.object("rope_parameters", "rope_parameters")? {
            Some(settings) => Some(settings),
            None => self.fields.object("rope_scaling", "rope_scaling")?,
        };
        let rope = RopeSpec::read(settings, &self.rope_context(theta)?)?;
        self.spec.positions = Positions::Rotary(vec![rope]);
        Ok(self.spec)
    }
}

fn activation(fields: Fields<'_>, name: &str) -> Result<Activation> {
    match fields.text(name)? {
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu_pytorch_tanh" | "gelu_new" | "gelu_fast") => Ok(Activation::GeluTanh),
        Some("gelu") => Ok(Activation::Gelu),
        Some("relu") => Ok(Activation::Relu),
        _ => Err(fields.refuse(name, "known are silu, gelu, gelu_new, gelu_pytorch_tanh and relu")),
    }
}

fn gpt2(fields: Fields<'_>) -> Result<DecoderSpec> {
    // The config class renames its own fields: `n_embd` and `hidden_size` are the same thing.
    let either = |short: &str, long: &str, most: usize, otherwise: usize| -> Result<usize> {
        Ok(match fields.size(short, most)? {
            Some(size) => size,
            None => fields.size(long, most)?.unwrap_or(otherwise),
        })
    };
    let hidden_size = either("n_embd", "hidden_size", limits::WIDTH, 768)?;
    let head_count = either("n_head", "num_attention_heads", limits::HEADS, 12)?;
    let layer_count = either("n_layer", "num_hidden_layers", limits::LAYERS, 12)?;
    if !hidden_size.is_multiple_of(head_count) {
        return Err(fields.refuse("n_head", &format!("n_embd {hidden_size} is no multiple of it")));
    }
    if fields.flag("add_cross_attention")?.unwrap_or(false) {
        return Err(
            fields.refuse("add_cross_attention", "only decoders on their own are supported")
        );
    }
    let head_size = hidden_size / head_count;
    let scaled = fields.flag("scale_attn_weights")?.unwrap_or(true);
    let by_layer = fields.flag("scale_attn_by_inverse_layer_idx")?.unwrap_or(false);
    let layers = (0..layer_count).map(|layer| {
        let scale = if scaled { 1.0 / (head_size as f32).sqrt() } else { 1.0 };
        let divisor = if by_layer { (layer + 1) as f32 } else { 1.0 };
        LayerSpec { window: None, rope: 0, attention_scale: scale / divisor }
    });
    Ok(DecoderSpec {
        family: Family::Gpt2,
        vocab_size: fields.size("vocab_size", limits::VOCABULARY)?.unwrap_or(50_257),
        hidden_size,
        head_count,
        kv_head_count: head_count,
        head_size,
        context_length: either("n_positions", "max_position_embeddings", limits::CONTEXT, 1024)?,
        norm: NormSpec {
            kind: NormKind::Layer,
            epsilon: fields.number("layer_norm_epsilon", 1e-12, 1.0)?.unwrap_or(1e-5) as f32,
        },
        positions: Positions::Learned,
        layers: layers.collect(),
        mlp: MlpSpec {
            gated: false,
            activation: match fields.value("activation_function") {
                Some(_) => activation(fields, "activation_function")?,
                None => Activation::GeluTanh,
            },
            intermediate_size: either(
                "n_inner",
                "intermediate_size",
                limits::INTERMEDIATE,
                4 * hidden_size,
            )?,
            bias: true,
        },
        query_key_value_bias: true,
        output_bias: true,
        query_key_norm: false,
        post_norms: false,
        fused_query_key_value: true,
        fused_gate_up: false,
        naming: Naming::Gpt2,
        tied_head: fields.flag("tie_word_embeddings")?.unwrap_or(true),
        attention_soft_cap: None,
        logit_soft_cap: None,
        embedding_scale: None,
        score_head: None,
    })
}
