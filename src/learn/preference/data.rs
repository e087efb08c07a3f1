//! The pairs of a run, made ready, and what is said about those that were not.

use anyhow::Result;

use super::arguments::VectorArgs;
use super::base_model::BaseModel;
use super::encoding::{self, Encoded, EncodedPairs};
use super::pairs::{self, PairFiles};
use crate::learn::lines;
use crate::learn::random::Draws;
use crate::platform::{Problem, fnv};

/// Most tokens of prompt and answer when nothing is said and the model would take more.
const MOST_TOKENS: usize = 2048;

/// What a pair is to teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The chosen answer over the rejected.
    Prefer,
    /// Nothing: both answers are to stay as likely as they are.
    Keep,
}

/// A pair made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    pub pair: Encoded,
    /// The strength at which it holds; 1 is the finished vector.
    pub strength: f32,
    pub aim: Aim,
}

/// Every pair of a run.
pub struct Data {
    pub training: Vec<Lesson>,
    pub held_out: Vec<Lesson>,
}

impl Data {
    /// Reads and encodes the pairs, and says what was left out and why.
    ///
    /// # Errors
    /// When files cannot be read, too many lines are bad, or too few pairs are left.
    pub fn read(args: &VectorArgs, base: &BaseModel, tell: &mut impl FnMut(&str)) -> Result<Self> {
        let own = base.network.shape.context_length;
        let context = args.context.unwrap_or(MOST_TOKENS).min(own);
        let mut encode = |files: &[std::path::PathBuf]| -> Result<Vec<Encoded>> {
            let read = pairs::read(files)?;
            say_what_was_wrong(&read, tell);
            let encoded = encoding::encode_pairs(&base.language, &read.pairs, context)?;
            let EncodedPairs { pairs, truncated, too_long } = encoded;
            if truncated > 0 {
                tell(&format!("{truncated} prompts lost their beginning to fit {context} tokens"));
            }
            if too_long > 0 {
                tell(&format!("{too_long} pairs left out: an answer alone fills {context} tokens"));
            }
            Ok(pairs)
        };
        let prefer = |strength| move |pair| Lesson { pair, strength, aim: Aim::Prefer };
        let training: Vec<Lesson> = encode(&args.pairs)?.into_iter().map(prefer(1.0)).collect();
        let (mut training, held_out) = if args.held_out.is_empty() {
            let (mut kept, mut held_out) = (Vec::new(), Vec::new());
            for (index, pair) in training.into_iter().enumerate() {
                if index % 20 == 19 { held_out.push(pair) } else { kept.push(pair) }
            }
            (kept, held_out)
        } else {
            (training, encode(&args.held_out)?.into_iter().map(prefer(1.0)).collect())
        };
        let mut strengths = vec![1.0];
        for (strength, file) in args.at()? {
            strengths.push(strength);
            training.extend(encode(&[file])?.into_iter().map(prefer(strength)));
        }
        if !args.keep.is_empty() {
            let mut draws = Draws::new(args.seed, 0x6B65_6570);
            let mut pairs = encode(&args.keep)?;
            draws.shuffle(&mut pairs);
            pairs.truncate((training.len() as f64 * args.keep_share).round() as usize);
            tell(&format!("{} pairs whose answers are to stay as likely as they are", pairs.len()));
            for pair in pairs {
                let strength = draws.pick(&strengths).copied().unwrap_or(1.0);
                training.push(Lesson { pair, strength, aim: Aim::Keep });
            }
        }
        if let Some(most) = args.most
            && training.len() > most
        {
            tell(&format!("{most} of {} pairs drawn", training.len()));
            Draws::new(args.seed, 0x6D6F_7374).shuffle(&mut training);
            training.truncate(most);
        }
        if training.is_empty() {
            let context = format!("no pair fits {context} tokens");
            return Err(Problem::new(context).hint("give a larger --context").into());
        }
        Ok(Self { training, held_out })
    }

    /// Every pair, those to train on first.
    pub fn all(&self) -> impl Iterator<Item = &Lesson> {
        self.training.iter().chain(&self.held_out)
    }

    /// A hash over every id in order (FNV-1a).
    pub fn fingerprint(&self) -> String {
        let ids = |Lesson { pair, strength, aim }: &Lesson| {
            let mut ids = vec![strength.to_bits(), *aim as u32];
            for text in std::iter::once(&pair.prompt).chain(&pair.answers) {
                ids.extend(text.iter().chain(&[u32::MAX]));
            }
            ids
        };
        fnv::of_ids(self.all().flat_map(ids))
    }
}

fn say_what_was_wrong(read: &PairFiles, tell: &mut impl FnMut(&str)) {
    lines::tell(&read.malformed, pairs::KIND, tell);
    if read.identical > 0 {
        tell(&format!("{} pairs passed over whose two answers are the same", read.identical));
    }
}
