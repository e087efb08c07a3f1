//! Rotary position embeddings: their settings in a config, old and new, and their angles.
//!
//! Oddities, each checked against the reference implementation (`transformers`,
//! `modeling_rope_utils.py`) by the golden tests:
//! - frequencies are rounded to f32 before they meet the position, and the angle is an f32 product;
//! - `llama3` leaves short wavelengths alone, divides long ones by the factor and blends between;
//! - `yarn` blends by dimension index and multiplies cosine and sine by `0.1·ln(factor) + 1`
//!   (`mscale`), so scores grow by its square;
//! - `longrope` (Phi-3; once called `su`, and in its first configs `yarn`) has one divisor per
//!   frequency, a short and a long list. The reference picks the list by the length of the sequence
//!   at hand, which changes keys already cached; here the length of the cache picks it, once.

use std::f64::consts::PI;

use anyhow::Result;

use super::fields::Fields;
use super::limits;

/// One rotary embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSpec {
    /// Base wavelength.
    pub theta: f64,
    /// How many leading values of a head are rotated; the first half pairs with the second.
    pub rotary_size: usize,
    pub scaling: RopeScaling,
}

/// How the frequencies are stretched to a longer context than the model was first trained on.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    None,
    Linear {
        factor: f64,
    },
    Llama3 {
        factor: f64,
        low_frequency_factor: f64,
        high_frequency_factor: f64,
        original_context: usize,
    },
    Yarn {
        factor: f64,
        original_context: usize,
        beta_fast: f64,
        beta_slow: f64,
        /// Whether the blend's bounds are rounded to whole dimensions.
        truncate: bool,
        attention_factor: f64,
    },
    LongRope {
        short: Vec<f32>,
        long: Vec<f32>,
        original_context: usize,
        attention_factor: f64,
    },
}

/// What `RopeSpec::read` needs to know of the model around the settings.
pub(super) struct RopeContext {
    pub(super) head_size: usize,
    pub(super) context_length: usize,
    /// `original_max_position_embeddings` beside the settings instead of within (Phi-3).
    pub(super) original_context: Option<usize>,
    pub(super) theta: f64,
    pub(super) partial: f64,
    /// Phi-3's first configs said `su` or `yarn` for what is `longrope`.
    pub(super) yarn_means_longrope: bool,
}

impl RopeSpec {
    /// No scaling at all.
    pub(super) fn plain(theta: f64, rotary_size: usize) -> Self {
        Self { theta, rotary_size, scaling: RopeScaling::None }
    }

    /// Reads one set of settings; `fields` is `rope_parameters`, `rope_scaling` or neither.
    pub(super) fn read(fields: Option<Fields<'_>>, model: &RopeContext) -> Result<Self> {
        let rotated = |partial: f64| (model.head_size as f64 * partial) as usize;
        let Some(fields) = fields else {
            return Ok(Self::plain(model.theta, rotated(model.partial)));
        };
        let theta = fields.number("rope_theta", 1.5, 1e12)?.unwrap_or(model.theta);
        let partial = fields.number("partial_rotary_factor", 0.0, 1.0)?.unwrap_or(model.partial);
        let rotary_size = rotated(partial);
        let field = if fields.has("rope_type") { "rope_type" } else { "type" };
        let kind = match fields.text(field)?.unwrap_or("default") {
            "su" => "longrope",
            "yarn" if model.yarn_means_longrope => "longrope",
            other => other,
        };
        let original = |otherwise: usize| -> Result<usize> {
            let within = fields.size("original_max_position_embeddings", limits::CONTEXT)?;
            Ok(model.original_context.or(within).unwrap_or(otherwise))
        };
        let factor = || fields.number("factor", 1e-3, 1e6);
        let need_factor = || -> Result<f64> {
            factor()?.ok_or_else(|| fields.refuse("factor", "this rope type needs it"))
        };
        let scaling = match kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: need_factor()? },
            "llama3" => {
                let need = |name: &str| -> Result<f64> {
                    fields
                        .number(name, 1e-6, 1e6)?
                        .ok_or_else(|| fields.refuse(name, "the rope type llama3 needs it"))
                };
                let low_frequency_factor = need("low_freq_factor")?;
                let high_frequency_factor = need("high_freq_factor")?;
                if low_frequency_factor >= high_frequency_factor {
                    return Err(fields.refuse("high_freq_factor", "it must exceed low_freq_factor"));
                }
                RopeScaling::Llama3 {
                    factor: need_factor()?,
                    low_frequency_factor,
                    high_frequency_factor,
                    original_context: original(model.context_length)?,
                }
            }
            "yarn" => Self::read_yarn(fields, model, original(model.context_length)?, factor()?)?,
            "longrope" => {
                Self::read_longrope(fields, model, original(4096)?, factor()?, rotary_size)?
            }
            _ => {
                let why = "known are default, linear, llama3, yarn and longrope";
                return Err(fields.refuse(field, why));
            }
        };
        Ok(Self { theta, rotary_size, scaling })
    }

    fn read_yarn(
        fields: Fields<'_>,
        model: &RopeContext,
        original_context: usize,
        factor: Option<f64>,
    ) -> Result<RopeScaling> {
        let factor = factor.unwrap_or(model.context_length as f64 / original_context as f64);
        let mscale = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
        let given = fields.number("attention_factor", 1e-6, 1e6)?;
        let one = fields.number("mscale", 0.0, 1e6)?.unwrap_or(0.0);
        let all = fields.number("mscale_all_dim", 0.0, 1e6)?.unwrap_or(0.0);
        let derived =
            if one != 0.0 && all != 0.0 { mscale(one) / mscale(all) } else { mscale(1.0) };
        let beta = |name: &str, otherwise: f64| -> Result<f64> {
            Ok(fields.number(name, 0.0, 1e6)?.filter(|beta| *beta != 0.0).unwrap_or(otherwise))
        };
        Ok(RopeScaling::Yarn {
            factor,
            original_context,
            beta_fast: beta("beta_fast", 32.0)?,
            beta_slow: beta("beta_slow", 1.0)?,
            truncate: fields.flag("truncate")?.unwrap_or(true),
            attention_factor: given.unwrap_or(derived),
        })
    }

    fn read_longrope(
        fields: Fields<'_>,
        model: &RopeContext,
        original_context: usize,
        factor: Option<f64>,
        rotary_size: usize,
    ) -> Result<RopeScaling> {
        let list = |name: &str| -> Result<Vec<f32>> {
            fields
                .numbers(name, rotary_size / 2)?
                .ok_or_else(|| fields.refuse(name, "the rope type longrope needs it"))
        };
        let factor = factor.unwrap_or(model.context_length as f64 / original_context as f64);
        let derived = if factor <= 1.0 || original_context <= 1 {
            1.0
        } else {
            (1.0 + factor.ln() / (original_context as f64).ln()).sqrt()
        };
        Ok(RopeScaling::LongRope {
            short: list("short_factor")?,
            long: list("long_factor")?,
            original_context,
            attention_factor: fields.number("attention_factor", 1e-6, 1e6)?.unwrap_or(derived),
        })
    }

    /// One short phrase for a person.
    pub fn phrase(&self) -> String {
        let scaling = match &self.scaling {
            RopeScaling::None => String::new(),
            RopeScaling::Linear { factor } => format!(", linear ×{factor}"),
            RopeScaling::Llama3 { factor, .. } => format!(", llama3 ×{factor}"),
            RopeScaling::Yarn { factor, .. } => format!(", yarn ×{factor}"),
            RopeScaling::LongRope { original_context, .. } => {
                format!(", longrope beyond {original_context}")
            }
        };
        format!("rotary θ {}{scaling}", self.theta)
    }

    /// Radians per position for each rotated pair, and the factor on cosine and sine.
    ///
    /// `cache_length` is the most positions that will ever be held (it picks `longrope`'s list).
    pub fn frequencies(&self, cache_length: usize) -> (Vec<f32>, f32) {
        let pairs = self.rotary_size / 2;
        // The exponent is an f32 quotient, as in the reference.
        let wavelengths: Vec<f32> = (0..pairs)
            .map(|pair| {
                let exponent = (2 * pair) as f32 / self.rotary_size as f32;
                self.theta.powf(f64::from(exponent)) as f32
            })
            .collect();
        let plain = || wavelengths.iter().map(|wavelength| 1.0 / wavelength);
        match &self.scaling {
            RopeScaling::None => (plain().collect(), 1.0),
            RopeScaling::Linear { factor } => {
                (plain().map(|frequency| frequency / *factor as f32).collect(), 1.0)
            }
            RopeScaling::Llama3 {
                factor,
                low_frequency_factor,
                high_frequency_factor,
                original_context,
            } => {
                let (low, high) = (*low_frequency_factor, *high_frequency_factor);
                let original = *original_context as f64;
                let stretch = |frequency: f32| {
                    let frequency = f64::from(frequency);
                    let wavelength = 2.0 * PI / frequency;
                    if wavelength < original / high {
                        frequency as f32
                    } else if wavelength > original / low {
                        (frequency / factor) as f32
                    } else {
                        let smooth = (original / wavelength - low) / (high - low);
                        ((1.0 - smooth) * frequency / factor + smooth * frequency) as f32
                    }
                };
                (plain().map(stretch).collect(), 1.0)
            }
            RopeScaling::Yarn {
                factor,
                original_context,
                beta_fast,
                beta_slow,
                truncate,
                attention_factor,
            } => {
                let size = self.rotary_size as f64;
                let dimension = |rotations: f64| {
                    let turns = *original_context as f64 / (rotations * 2.0 * PI);
                    size * turns.ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (dimension(*beta_fast), dimension(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let low = low.max(0.0);
                let mut high = high.min(size - 1.0);
                if low == high {
                    high += 0.001;
                }
                let frequencies = wavelengths
                    .iter()
                    .enumerate()
                    .map(|(pair, wavelength)| {
                        let ramp = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0) as f32;
                        let keep = 1.0 - ramp;
                        let stretched = 1.0 / (*factor as f32 * wavelength);
                        stretched * (1.0 - keep) + (1.0 / wavelength) * keep
                    })
                    .collect();
                (frequencies, *attention_factor as f32)
            }
            RopeScaling::LongRope { short, long, original_context, attention_factor } => {
                let list = if cache_length > *original_context { long } else { short };
                let frequencies = wavelengths
                    .iter()
                    .zip(list)
                    .map(|(wavelength, divisor)| 1.0 / (divisor * wavelength))
                    .collect();
                (frequencies, *attention_factor as f32)
            }
        }
    }
}
