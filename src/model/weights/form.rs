//! The form a person asks for, and what becomes of a stored type in it.

use std::fmt;
use std::str::FromStr;

use candle_core::quantized::GgmlDType;

use super::StoredType;
use crate::platform::Problem;

/// The form weight matrices take in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WeightForm {
    /// As in the file.
    #[default]
    Stored,
    F32,
    BF16,
    F16,
    Q8_0,
    Q4K,
}

impl WeightForm {
    /// Every form with its name on the command line, where it has one.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Stored, "stored"),
        (Self::F32, "f32"),
        (Self::BF16, "bf16"),
        (Self::F16, "f16"),
        (Self::Q8_0, "q8_0"),
        (Self::Q4K, "q4_k"),
    ];

    /// The type a matrix of rows of `columns` elements is held in.
    ///
    /// Blocks need whole rows: where 256 do not divide a row, `q4_k` becomes `q8_0`; where 32 do
    /// not either, the matrix stays as stored.
    pub fn held(self, stored: StoredType, columns: usize) -> StoredType {
        let q8_0 = StoredType::Quantized(GgmlDType::Q8_0);
        let q4_k = StoredType::Quantized(GgmlDType::Q4K);
        match self {
            Self::Stored => stored,
            Self::F32 => StoredType::F32,
            Self::BF16 => StoredType::BF16,
            Self::F16 => StoredType::F16,
            Self::Q4K if columns.is_multiple_of(q4_k.block_elements()) => q4_k,
            Self::Q4K | Self::Q8_0 if columns.is_multiple_of(q8_0.block_elements()) => q8_0,
            Self::Q4K | Self::Q8_0 => stored,
        }
    }
}

impl fmt::Display for WeightForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name =
            Self::ALL.iter().find(|(form, _)| form == self).map_or("stored", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for WeightForm {
    type Err = Problem;

    /// `auto` and the empty string are not forms: [`super::choose`] decides what they mean.
    fn from_str(name: &str) -> Result<Self, Problem> {
        let wanted = name.trim().to_ascii_lowercase().replace("q4k", "q4_k").replace("q80", "q8_0");
        Self::ALL.iter().find(|(_, name)| *name == wanted).map(|(form, _)| *form).ok_or_else(|| {
            Problem::new(format!("unknown weight form `{name}`"))
                .hint("choose auto, f32, bf16, f16, q8_0 or q4_k")
        })
    }
}
