//! The model that is measured, by its sizes.

/// Sizes of a Qwen2-shaped decoder.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub mlp: usize,
    pub vocab: usize,
}

impl Shape {
    pub const QWEN2_5_0_5B: Self = Self {
        name: "Qwen2.5-0.5B",
        hidden: 896,
        layers: 24,
        heads: 14,
        kv_heads: 2,
        mlp: 4864,
        vocab: 151_936,
    };

    pub const SMALL: Self = Self {
        name: "small",
        hidden: 256,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        mlp: 768,
        vocab: 4096,
    };

    pub fn head_size(&self) -> usize {
        self.hidden / self.heads
    }
}
