//! Every tensor of an adapter with its name and shape, made from the base's description and the
//! sizes alone; and what follows from it: parameters and bytes of cache.

use super::{Facts, Heads, Insertion, Sizes};
use crate::model::decoder::{DecoderSpec, NormKind};
use crate::platform::Problem;

/// Everything that decides an adapter's tensors.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    pub spec: &'a DecoderSpec,
    pub sizes: Sizes,
    pub insertion: Insertion,
    pub heads: Heads,
}

/// One tensor of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorShape {
    pub name: String,
    pub shape: Vec<usize>,
}

impl<'a> Shape<'a> {
    /// An adapter's tensors on a base.
    ///
    /// # Errors
    /// When the sizes make no stream beside this base; the message says which.
    pub fn new(facts: &Facts, heads: Heads, spec: &'a DecoderSpec) -> Result<Self, Problem> {
        let (sizes, insertion) = (facts.sizes, facts.insertion);
        let refuse = |what: String| Err(Problem::new(what).hint("learn the adapter anew"));
        let within = |what: &str, size: usize, most: usize| {
            if size == 0 || size > most {
                let what = format!("an inserted {what} of {size}: the base allows 1 to {most}");
                return Err(Problem::new(what).hint("learn the adapter anew"));
            }
            Ok(())
        };
        within("width", sizes.width, spec.hidden_size)?;
        within("number of query heads", sizes.query_heads, spec.head_count)?;
        within("number of key heads", sizes.key_heads, spec.kv_head_count)?;
        within("inner size", sizes.inner, spec.mlp.intermediate_size)?;
        if !sizes.query_heads.is_multiple_of(sizes.key_heads) {
            let (queries, keys) = (sizes.query_heads, sizes.key_heads);
            return refuse(format!("{queries} inserted query heads do not share {keys} key heads"));
        }
        if insertion.first_layer >= spec.layers.len() {
            let (first, layers) = (insertion.first_layer, spec.layers.len());
            return refuse(format!("an insertion from layer {first} on in a model of {layers}"));
        }
        if !insertion.attention && !insertion.mlp {
            return refuse("an insertion neither in the attention nor in the MLP".to_owned());
        }
        Ok(Self { spec, sizes, insertion, heads })
    }

    /// All tensors, layer by layer, the heads last.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let mut all = Vec::new();
        for layer in self.insertion.first_layer..self.spec.layers.len() {
            self.layer(layer, &mut all);
        }
        let (width, vocabulary) = (self.sizes.width, self.spec.vocab_size);
        self.norm("final_norm", &mut all);
        add(&mut all, "head.reward.weight", &[width]);
        add(&mut all, "head.reward.bias", &[1]);
        if self.heads.reads_original {
            add(&mut all, "head.reward.original", &[self.spec.hidden_size]);
        }
        if self.heads.experts {
            add(&mut all, "head.expert.weight", &[vocabulary, width]);
            add(&mut all, "head.antiexpert.weight", &[vocabulary, width]);
        }
        for draft in 1..=self.heads.drafts {
            add(&mut all, &format!("head.draft.{draft}.weight"), &[vocabulary, width]);
        }
        all
    }

    fn layer(&self, layer: usize, all: &mut Vec<TensorShape>) {
        let (spec, sizes) = (self.spec, self.sizes);
        let of = |name: &str| format!("layers.{layer}.{name}");
        let (both, head) = (spec.hidden_size + sizes.width, spec.head_size);
        let (queries, keys) = (sizes.query_heads * head, sizes.key_heads * head);
        if self.insertion.attention {
            self.norm(&of("attention_norm"), all);
            for (name, width) in [("query", queries), ("key", keys), ("value", keys)] {
                linear(all, &of(name), width, both, spec.query_key_value_bias);
            }
            if spec.query_key_norm {
                add(all, &of("query_norm.weight"), &[head]);
                add(all, &of("key_norm.weight"), &[head]);
            }
            let inputs = spec.query_width() + queries;
            linear(all, &of("output"), sizes.width, inputs, spec.output_bias);
            if spec.post_norms {
                self.norm(&of("attention_post_norm"), all);
            }
        }
        if self.insertion.mlp {
            self.norm(&of("mlp_norm"), all);
            if spec.mlp.gated {
                linear(all, &of("gate"), sizes.inner, both, spec.mlp.bias);
            }
            linear(all, &of("up"), sizes.inner, both, spec.mlp.bias);
            let inputs = spec.mlp.intermediate_size + sizes.inner;
            linear(all, &of("down"), sizes.width, inputs, spec.mlp.bias);
            if spec.post_norms {
                self.norm(&of("mlp_post_norm"), all);
            }
        }
    }

    fn norm(&self, name: &str, all: &mut Vec<TensorShape>) {
        add(all, &format!("{name}.weight"), &[self.sizes.width]);
        if self.spec.norm.kind == NormKind::Layer {
            add(all, &format!("{name}.bias"), &[self.sizes.width]);
        }
    }

    /// Inserted parameters, heads included (spec section 7).
    pub fn parameter_count(&self) -> u64 {
        self.tensors().iter().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum()
    }

    /// Bytes of inserted keys and values per position of one row, f32.
    pub fn cache_bytes_per_token(&self) -> u64 {
        if !self.insertion.attention {
            return 0;
        }
        let layers = self.spec.layers.len() - self.insertion.first_layer;
        (4 * 2 * self.sizes.key_heads * self.spec.head_size * layers) as u64
    }
}

fn add(all: &mut Vec<TensorShape>, name: &str, shape: &[usize]) {
    all.push(TensorShape { name: name.to_owned(), shape: shape.to_vec() });
}

fn linear(all: &mut Vec<TensorShape>, name: &str, outputs: usize, inputs: usize, bias: bool) {
    add(all, &format!("{name}.weight"), &[outputs, inputs]);
    if bias {
        add(all, &format!("{name}.bias"), &[outputs]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Llama without biases, as the table of spec section 7 has them.
    fn spec(
        layers: usize,
        hidden: usize,
        heads: [usize; 2],
        head: usize,
        inner: usize,
    ) -> DecoderSpec {
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": 32000, "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads[0],
            "num_key_value_heads": heads[1], "head_dim": head, "intermediate_size": inner,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 2048, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "hidden_act": "silu",
        });
        DecoderSpec::from_config(&config).unwrap()
    }

    /// Spec sections 7 and 11.17: parameters by the formula, and the table's own figures.
    #[test]
    fn parameters_and_cache_bytes_are_those_of_the_formula() {
        let cases = [
            (spec(32, 4096, [32, 32], 128, 11008), [512, 4, 4, 1376], 910.7),
            (spec(16, 2048, [32, 8], 64, 8192), [256, 4, 1, 1024], 136.9),
            (spec(28, 1536, [12, 2], 128, 8960), [192, 2, 1, 1120], 197.0),
            (spec(24, 896, [14, 2], 64, 4864), [112, 2, 1, 608], 53.1),
            (spec(30, 576, [9, 3], 64, 1536), [64, 1, 1, 192], 15.6),
        ];
        for (spec, [width, query_heads, key_heads, inner], millions) in cases {
            let sizes = Sizes { width, query_heads, key_heads, inner };
            assert_eq!(Sizes::one_in(8, &spec), sizes);
            let facts = Facts { sizes, ..Facts::default() };
            let shape = Shape::new(&facts, Heads::default(), &spec).unwrap();
            let (layers, d, n) = (spec.layers.len(), spec.hidden_size, spec.head_count);
            let (head, outer) = (spec.head_size, spec.mlp.intermediate_size);
            let formula = layers
                * ((query_heads + 2 * key_heads) * head * (d + width)
                    + width * (n + query_heads) * head
                    + 2 * inner * (d + width)
                    + width * (outer + inner)
                    + 2 * width)
                + width
                + width
                + 1;
            assert_eq!(shape.parameter_count(), formula as u64);
            let counted = shape.parameter_count() as f64 / 1e6;
            assert!((counted - millions).abs() < 0.06, "{counted} is not {millions}");
            let bytes = 4 * 2 * key_heads * head * layers;
            assert_eq!(shape.cache_bytes_per_token(), bytes as u64);
        }
    }

    #[test]
    fn sizes_that_make_no_stream_are_refused() {
        let spec = spec(4, 64, [4, 2], 16, 128);
        let good = Sizes::one_in(8, &spec);
        let refused = |change: &dyn Fn(&mut Facts)| {
            let mut facts = Facts { sizes: good, ..Facts::default() };
            change(&mut facts);
            Shape::new(&facts, Heads::default(), &spec).is_err()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|facts| facts.sizes.width = 0));
        assert!(refused(&|facts| facts.sizes.width = 65));
        assert!(refused(&|facts| facts.sizes.inner = usize::MAX));
        assert!(refused(&|facts| (facts.sizes.query_heads, facts.sizes.key_heads) = (3, 2)));
        assert!(refused(&|facts| facts.insertion.first_layer = 4));
        assert!(
            refused(&|facts| (facts.insertion.attention, facts.insertion.mlp) = (false, false))
        );
    }
}
