//! The number format of a tensor.

use std::fmt;

use candle_core::DType;
use candle_core::quantized::GgmlDType;

/// The type of a tensor in a file or in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoredType {
    F32,
    F16,
    BF16,
    /// Blocks as GGUF has them. Never one of its three float types: those are the ones above.
    Quantized(GgmlDType),
}

impl StoredType {
    /// Folds the float types of GGUF into the ones every file shares.
    pub fn from_ggml(dtype: GgmlDType) -> Self {
        match dtype {
            GgmlDType::F32 => Self::F32,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::BF16,
            blocks => Self::Quantized(blocks),
        }
    }

    /// The float type, when it is one.
    pub fn dense(self) -> Option<DType> {
        match self {
            Self::F32 => Some(DType::F32),
            Self::F16 => Some(DType::F16),
            Self::BF16 => Some(DType::BF16),
            Self::Quantized(_) => None,
        }
    }

    /// Elements that are stored together; a row is a whole number of blocks.
    pub fn block_elements(self) -> usize {
        match self {
            Self::Quantized(dtype) => dtype.block_size(),
            _ => 1,
        }
    }

    /// Bytes of one block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Quantized(dtype) => dtype.type_size(),
        }
    }

    /// True when candle multiplies such a matrix from a second copy in tiles on this CPU, made at
    /// its first product. The conditions are candle's own.
    pub fn is_tiled_on_cpu(self, rows: usize, columns: usize) -> bool {
        let Self::Quantized(dtype) = self else { return false };
        #[cfg(target_arch = "x86_64")]
        {
            rows.is_multiple_of(16)
                && columns.is_multiple_of(256)
                && match dtype {
                    GgmlDType::Q4K | GgmlDType::Q6K => is_x86_feature_detected!("avx2"),
                    GgmlDType::Q8_0 => {
                        is_x86_feature_detected!("avx512vnni")
                            || is_x86_feature_detected!("avxvnni")
                    }
                    _ => false,
                }
        }
        #[cfg(target_arch = "aarch64")]
        {
            rows.is_multiple_of(8)
                && columns.is_multiple_of(32)
                && matches!(
                    dtype,
                    GgmlDType::Q4_0
                        | GgmlDType::Q8_0
                        | GgmlDType::Q4K
                        | GgmlDType::Q5K
                        | GgmlDType::Q6K
                )
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            (rows, columns, dtype).0 == usize::MAX
        }
    }

    /// Bytes of `elements`, a whole number of blocks; `None` when they are not or overflow.
    pub fn bytes_of(self, elements: usize) -> Option<usize> {
        let block = self.block_elements();
        if !elements.is_multiple_of(block) {
            return None;
        }
        (elements / block).checked_mul(self.block_bytes())
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::Quantized(dtype) => match dtype {
                GgmlDType::F32 => "f32",
                GgmlDType::F16 => "f16",
                GgmlDType::BF16 => "bf16",
                GgmlDType::Q4_0 => "q4_0",
                GgmlDType::Q4_1 => "q4_1",
                GgmlDType::Q5_0 => "q5_0",
                GgmlDType::Q5_1 => "q5_1",
                GgmlDType::Q8_0 => "q8_0",
                GgmlDType::Q8_1 => "q8_1",
                GgmlDType::Q2K => "q2_k",
                GgmlDType::Q3K => "q3_k",
                GgmlDType::Q4K => "q4_k",
                GgmlDType::Q5K => "q5_k",
                GgmlDType::Q6K => "q6_k",
                GgmlDType::Q8K => "q8_k",
            },
        })
    }
}
