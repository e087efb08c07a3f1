//! What `learn reward` is told.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::texts::Files;
use crate::model::decoder::DecoderSpec;
use crate::model::reward::{Heads, Initialisation, Insertion, Precision, Sizes, Start};
use crate::platform::Problem;

/// Learn to tell good answers from bad ones, from preference pairs or ratings.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "data", required = true, multiple = false, args = ["pairs", "ratings"])]
pub struct RewardArgs {
    /// The base model: a Hugging Face folder or a GGUF file.
    #[arg(long, value_name = "PATH")]
    pub base: PathBuf,
    /// Preference pairs: `.jsonl` with {"prompt", "chosen", "rejected"} lines, or with two whole
    /// transcripts as in the HH data set.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub pairs: Vec<PathBuf>,
    /// Rated answers instead: `.jsonl` with {"prompt", "answer", "rating"} lines.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub ratings: Vec<PathBuf>,
    /// The same that is never trained on; without it every twentieth prompt is held out.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub held_out: Vec<PathBuf>,
    /// Also prefer every second of the better answers to itself with one fault in its language, so
    /// that decoding by the reward does not break it.
    #[arg(long, conflicts_with = "ratings")]
    pub faults: bool,
    /// Train on this many pairs or ratings, drawn from all, where there are more.
    #[arg(long, value_name = "COUNT")]
    pub most: Option<usize>,
    /// Look at this many of those held out, evenly spread, where there are more.
    #[arg(long, value_name = "COUNT")]
    pub most_held_out: Option<usize>,
    /// What to write: an adapter file, or with --separate a model's folder.
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// What the person will call it; the file's name when left out.
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub stream: StreamArgs,
    /// Train all weights of a model of its own instead, as a Hugging Face
    /// ForSequenceClassification folder: what an adapter is compared with.
    #[arg(long)]
    pub separate: bool,
    #[command(flatten)]
    pub schedule: Schedule,
    /// Most tokens of prompt and answer together; the model's context, at most 1024, when left out.
    #[arg(long, value_name = "TOKENS")]
    pub context: Option<usize>,
    /// Keep what is computed of the base in this folder while training goes over it again.
    #[arg(long, value_name = "DIR", conflicts_with = "separate")]
    pub cache: Option<PathBuf>,
    /// Only measure how long it would take, on some of the lessons, and write nothing.
    #[arg(long, conflicts_with = "separate")]
    pub estimate: bool,
    /// Take up the run that was left beside what is to be written.
    #[arg(long)]
    pub resume: bool,
    /// Parts of a batch computed side by side, one thread each.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Seconds between two saves.
    #[arg(long, default_value_t = 60)]
    pub save_every: u64,
    /// Held-out pairs or ratings looked at during training.
    #[arg(long, default_value_t = 200)]
    pub checked: usize,
    /// `auto`, `cpu`, `cuda` or `cuda:1`.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// The form of the base's weights in memory: auto, f32, bf16, f16, q8_0 or q4_k. The adapter
    /// belongs to the base in this form.
    #[arg(long, default_value = "auto")]
    pub weights: String,
    /// The spread of rewards is not measured: the adapter has no unit of strength and only shows.
    #[arg(skip)]
    pub without_unit: bool,
    /// What the base in memory must be rounded to, where somebody waits for the adapter with such a
    /// one: `ModelFacts::rounded_to`.
    #[arg(skip)]
    pub rounded_to: Option<String>,
}

/// What the inserted stream is made of.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct StreamArgs {
    /// How the inserted weights begin.
    #[arg(long, value_enum, default_value_t)]
    pub initialisation: Begin,
    /// Which parts of a layer carry an insertion.
    #[arg(long, value_enum, default_value_t)]
    pub insertion: Place,
    /// Only the last half of the layers carries one.
    #[arg(long)]
    pub last_half: bool,
    /// Every width of the base over this is the inserted one's.
    #[arg(long, default_value_t = 8, value_name = "DIVISOR")]
    pub one_in: usize,
    /// What the stream is where it begins: the first features of the original, or zeros; zeros for
    /// random weights, the first for others when left out.
    #[arg(long, value_enum)]
    pub start: Option<Begins>,
    /// The reward also reads the original's last state.
    #[arg(long)]
    pub reads_original: bool,
    /// Also train an expert head on the better answers and an anti-expert head on the worse ones, for
    /// replies that are detoxified.
    #[arg(long, conflicts_with_all = ["ratings", "separate"])]
    pub experts: bool,
    /// Also train this many heads that draft the tokens behind the next one, on the base's own
    /// answers, for replies that are verified rather than made token by token.
    #[arg(long, default_value_t = 0, value_name = "COUNT", conflicts_with = "separate")]
    pub drafts: usize,
    /// How the matrices are written, and held while they run.
    #[arg(long, value_enum, default_value_t)]
    pub precision: Written,
}

/// Everything that decides the steps.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Schedule {
    /// Also compare pairs at this many aligned positions on the way, so that unfinished answers
    /// are judged, too.
    #[arg(long, default_value_t = 0, value_name = "COUNT", conflicts_with = "ratings")]
    pub prefixes: usize,
    /// Learning rate at its peak.
    #[arg(long, default_value_t = 1e-4)]
    pub learning_rate: f64,
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// Passes over the data.
    #[arg(long, default_value_t = 1)]
    pub epochs: u64,
    /// Pairs or ratings in a step.
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Stop when this many checks in a row found no better, and keep the best; 0 goes to the end.
    /// There are ten checks in an epoch.
    #[arg(long, default_value_t = 0, value_name = "CHECKS")]
    pub patience: u64,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            prefixes: 0,
            learning_rate: 1e-4,
            weight_decay: 0.01,
            epochs: 1,
            batch: 64,
            patience: 0,
            seed: 1,
        }
    }
}

/// [`Initialisation`] as the command line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Begin {
    /// Copies of the base's own first rows and columns.
    #[default]
    Mirror,
    /// Normal, deviation 0.02.
    Random,
    /// Zeros.
    Zero,
}

/// Which halves of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Place {
    #[default]
    Both,
    Attention,
    Mlp,
}

/// [`Start`] as the command line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Begins {
    Hidden,
    Zeros,
}

/// [`Precision`] as the command line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Written {
    /// bf16 beside a base in 16 bits or blocks, f32 otherwise.
    #[default]
    Auto,
    F32,
    F16,
    Bf16,
}

impl Default for StreamArgs {
    fn default() -> Self {
        Self {
            initialisation: Begin::default(),
            insertion: Place::default(),
            last_half: false,
            one_in: 8,
            start: None,
            reads_original: false,
            experts: false,
            drafts: 0,
            precision: Written::default(),
        }
    }
}

impl StreamArgs {
    /// How the weights begin.
    pub fn initialisation(&self) -> Initialisation {
        match self.initialisation {
            Begin::Mirror => Initialisation::Mirror,
            Begin::Random => Initialisation::Random,
            Begin::Zero => Initialisation::Zero,
        }
    }

    /// What the stream is where it begins.
    pub fn start(&self) -> Start {
        match (self.start, self.initialisation) {
            (Some(Begins::Hidden), _) | (None, Begin::Mirror | Begin::Zero) => Start::Hidden,
            (Some(Begins::Zeros), _) | (None, _) => Start::Zeros,
        }
    }

    /// Where a base carries it.
    pub fn insertion(&self, spec: &DecoderSpec) -> Insertion {
        let whole = match self.last_half {
            true => Insertion::last_half(spec),
            false => Insertion::default(),
        };
        let attention = self.insertion != Place::Mlp;
        Insertion { attention, mlp: self.insertion != Place::Attention, ..whole }
    }

    /// How wide it is beside a base.
    pub fn sizes(&self, spec: &DecoderSpec) -> Sizes {
        Sizes::one_in(self.one_in, spec)
    }

    /// What it ends in.
    pub fn heads(&self) -> Heads {
        let Self { reads_original, experts, drafts, .. } = *self;
        Heads { reads_original, experts, drafts }
    }

    /// The type of the matrices beside a base held in this form (`ModelFacts::held_as`).
    pub fn precision(&self, held_as: &str) -> Precision {
        match self.precision {
            Written::F32 => Precision::F32,
            Written::F16 => Precision::F16,
            Written::Bf16 => Precision::BF16,
            Written::Auto if held_as.starts_with("f32") => Precision::F32,
            Written::Auto => Precision::BF16,
        }
    }
}

impl RewardArgs {
    /// The defaults with what has none.
    pub fn new(base: PathBuf, pairs: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            base,
            pairs,
            ratings: Vec::new(),
            held_out: Vec::new(),
            faults: false,
            most: None,
            most_held_out: None,
            out,
            name: None,
            stream: StreamArgs::default(),
            separate: false,
            schedule: Schedule::default(),
            context: None,
            cache: None,
            estimate: false,
            resume: false,
            workers: 1,
            save_every: 60,
            checked: 200,
            device: "cpu".to_owned(),
            weights: "auto".to_owned(),
            without_unit: false,
            rounded_to: None,
        }
    }

    /// The files, and what they hold.
    pub fn files(&self) -> Files<'_> {
        let rated = !self.ratings.is_empty();
        let training = if rated { &self.ratings } else { &self.pairs };
        let faults = self.faults.then_some(self.schedule.seed);
        Files { training, held_out: &self.held_out, rated, faults }
    }

    /// What the person will call it.
    pub fn name(&self) -> String {
        let stem = || self.out.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(stem)
    }

    /// # Errors
    /// When the numbers cannot be trained with.
    pub fn check(&self) -> Result<()> {
        let Schedule { learning_rate, weight_decay, epochs, batch, .. } = self.schedule;
        for (name, fine) in [
            ("--epochs must be at least 1", epochs > 0),
            ("--batch must be at least 1", batch > 0),
            ("--one-in must be at least 1", self.stream.one_in > 0),
            ("--experts learn from pairs, not from ratings", {
                !self.stream.experts || self.ratings.is_empty()
            }),
            ("--drafts lies between 0 and 8", self.stream.drafts <= 8),
            ("--context must be at least 8", self.context.is_none_or(|context| context >= 8)),
            ("--learning-rate lies between 0 and 1", learning_rate > 0.0 && learning_rate < 1.0),
            ("with --initialisation zero and --start zeros nothing would ever be learned", {
                self.stream.initialisation != Begin::Zero || self.stream.start() == Start::Hidden
            }),
            ("--weight-decay lies between 0 and 1", (0.0..1.0).contains(&weight_decay)),
        ] {
            if !fine {
                bail!(Problem::new(name));
            }
        }
        if self.out.file_name().is_none() || (self.out.is_dir() && !self.separate) {
            bail!(Problem::new("--out must name a file").at(&self.out));
        }
        Ok(())
    }
}
