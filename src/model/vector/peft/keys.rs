//! What a tensor of an adapter is, by its key (PEFT's layout, spec section 9.2).

/// What PEFT puts before the model's own module paths.
const PREFIX: &str = "base_model.model.";

/// What a tensor does for its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `[rank, inputs]`.
    A,
    /// `[outputs, rank]`.
    B,
    /// `[outputs]`, scaled like B.
    BBias,
    /// `[rank, vocabulary]`.
    EmbeddingA,
    /// `[width, rank]`.
    EmbeddingB,
    /// The whole parameter as training left it.
    Saved,
}

/// A key taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Route<'a> {
    pub role: Role,
    /// The module's path in the model: `model.layers.3.self_attn.q_proj`.
    pub module: &'a str,
    /// The adapter's name, where the exporter left it in the key.
    pub adapter: Option<&'a str>,
    /// `weight` or `bias`, for a saved parameter.
    pub kind: &'a str,
}

impl Route<'_> {
    /// The parameter a saved tensor is of. It may still say `base_layer`, which [`fit`] takes out:
    /// such a module can have factors, too.
    ///
    /// [`fit`]: crate::model::vector::Vector::fit
    pub fn parameter(&self) -> String {
        format!("{}.{}", self.module, self.kind)
    }
}

/// Takes a key apart.
///
/// # Errors
/// One line without the file's name when the key is of no kind that Tiller knows.
pub fn route(key: &str) -> Result<Route<'_>, String> {
    let Some(path) = key.strip_prefix(PREFIX) else {
        return Err(format!("`{key}` does not begin with `{PREFIX}`"));
    };
    if path.contains("lora_magnitude_vector") {
        return Err(format!("`{key}`: DoRA is not linear in its strength; it cannot be a vector"));
    }
    if path.contains("trainable_tokens_") {
        return Err(format!("`{key}`: adapters of single tokens are not supported"));
    }
    let factor = |at: usize, segment: &str, role: Role, with_kind: bool| {
        let module = &path[..at];
        let rest = &path[at + segment.len()..];
        let (rest, role) = match (with_kind, rest.strip_suffix(".weight")) {
            (true, Some(rest)) => (rest, role),
            (true, None) => match rest.strip_suffix(".bias") {
                Some(rest) if role == Role::B => (rest, Role::BBias),
                _ => return Err(format!("`{key}` is no tensor of a LoRA adapter")),
            },
            (false, _) => (rest, role),
        };
        let adapter = match rest {
            "" => None,
            name => match name.strip_prefix('.') {
                Some(name) if !name.contains('.') => Some(name),
                _ => return Err(format!("`{key}` is no tensor of a LoRA adapter")),
            },
        };
        Ok(Route { role, module, adapter, kind: "" })
    };
    for (segment, role, with_kind) in [
        (".lora_embedding_A", Role::EmbeddingA, false),
        (".lora_embedding_B", Role::EmbeddingB, false),
        (".lora_A", Role::A, true),
        (".lora_B", Role::B, true),
    ] {
        if let Some(at) = path.find(segment) {
            return factor(at, segment, role, with_kind);
        }
    }
    match path.rsplit_once('.') {
        Some((module, kind @ ("weight" | "bias"))) if !module.contains("lora_") => {
            let (module, adapter) = match module.split_once(".modules_to_save") {
                Some((module, "")) => (module, None),
                Some((module, name)) => (module, name.strip_prefix('.')),
                None => (module, None),
            };
            if adapter.is_some_and(|name| name.contains('.')) {
                return Err(format!(
                    "`{key}` is part of a saved module that has modules of its own"
                ));
            }
            Ok(Route { role: Role::Saved, module, adapter, kind })
        }
        _ => Err(format!("`{key}` is no tensor of a LoRA adapter")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_layout_are_known() {
        let cases = [
            ("m.0.q.lora_A.weight", Role::A, "m.0.q", None),
            ("m.0.q.lora_B.default.weight", Role::B, "m.0.q", Some("default")),
            ("m.0.q.lora_B.bias", Role::BBias, "m.0.q", None),
            ("m.embed_tokens.lora_embedding_A", Role::EmbeddingA, "m.embed_tokens", None),
            ("m.e.lora_embedding_B.default", Role::EmbeddingB, "m.e", Some("default")),
            ("lm_head.weight", Role::Saved, "lm_head", None),
            ("lm_head.modules_to_save.weight", Role::Saved, "lm_head", None),
            ("lm_head.modules_to_save.x.weight", Role::Saved, "lm_head", Some("x")),
            ("m.0.q.base_layer.bias", Role::Saved, "m.0.q.base_layer", None),
        ];
        for (key, role, module, adapter) in cases {
            let key = format!("{PREFIX}{key}");
            let found = route(&key).unwrap();
            assert_eq!((found.role, found.module, found.adapter), (role, module, adapter), "{key}");
        }
    }

    #[test]
    fn other_keys_are_refused_by_name() {
        for key in [
            "m.q.lora_A.weight",
            "base_model.model.m.q.lora_A.a.b.weight",
            "base_model.model.m.q.lora_A.bias",
            "base_model.model.m.q.lora_C.weight",
            "base_model.model.m.q.lora_diag.weight",
            "base_model.model.m.q.lora_magnitude_vector",
            "base_model.model.m.e.token_adapter.trainable_tokens_delta",
            "base_model.model.m.q.scores",
        ] {
            assert!(route(key).unwrap_err().contains(key), "{key}");
        }
    }
}
