//! The measurement itself, row by row, and the bars.

use std::path::Path;

use anyhow::Result;

use super::arguments::RewardArgs;
use super::bench::{Bench, Order, Replies, System};
use super::cost::{self, Cost};
use super::decoding::Settings;
use super::kept::Kept;
use super::learned::{self, Trained};
use super::{realistic, report};
use crate::eval::vectors::bars::Bar;
use crate::model::reward::{Adapter, Initialisation};
use crate::platform::{Cancelled, Problem};

/// Measures and tells row by row; the bars come last. `cancelled` is asked between rows and while
/// something is trained.
///
/// # Errors
/// [`Cancelled`], or when something cannot be read or does not go together.
pub fn run(
    args: &RewardArgs,
    cancelled: impl Fn() -> bool,
    mut tell: impl FnMut(&str),
) -> Result<()> {
    let mut table = Table {
        args,
        kept: Kept::open(args.learning.learn.as_deref())?,
        cancelled: &cancelled,
        tell: &mut tell,
        bars: Vec::new(),
    };
    if !args.cost_only {
        table.on_the_base()?;
    }
    if let Some(folder) = &args.realistic {
        table.realistic(folder)?;
    }
    let bars = std::mem::take(&mut table.bars);
    bars.iter().for_each(|bar| tell(&bar.line()));
    Ok(())
}

/// The table while it is made.
struct Table<'a> {
    args: &'a RewardArgs,
    kept: Kept,
    cancelled: &'a dyn Fn() -> bool,
    tell: &'a mut dyn FnMut(&str),
    bars: Vec<Bar>,
}

impl Table<'_> {
    fn go_on(&self) -> Result<()> {
        if (self.cancelled)() { Err(Cancelled.into()) } else { Ok(()) }
    }

    /// Everything that is measured with the base itself.
    fn on_the_base(&mut self) -> Result<()> {
        let (args, learn) = (self.args, self.args.learning.learn.as_deref());
        let cancelled = self.cancelled;
        let separate = match (&args.separate, learn) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => learned::separate(args, folder, &cancelled, &mut self.tell)?,
            (None, None) => {
                let hint = "name it with --separate, or have it trained with --learn";
                return Err(Problem::new("there is no reward model of its own to compare with")
                    .hint(hint)
                    .into());
            }
        };
        let mut bench = Bench::open(args, &separate, &mut self.tell)?;
        let adapter = bench.adapter(&args.adapter)?;
        (self.tell)(&format!(
            "{} pairs and {} prompts, none of them trained on",
            bench.pairs.pairs.len(),
            bench.prompts.len()
        ));
        // What the figures depend on beside what each of them is.
        let of = format!(
            "{} against {}, {:?}, {:?}, most {:?}, {} prompts, {} tokens, {} candidates, seed {}",
            adapter.fingerprint(),
            bench.scorer.facts.fingerprint,
            learned::names(&args.pairs),
            learned::names(&args.broken),
            args.most,
            args.prompts,
            args.tokens,
            args.candidates,
            args.seed
        );
        let orders = self.orders(&mut bench, &adapter, &of)?;
        let systems = self.systems(&mut bench, &adapter, &of)?;
        self.go_on()?;
        let cost = self.kept.or_measure(&format!("cost, {of}"), || {
            let prompts: Vec<Vec<u32>> = bench.prompts.iter().take(6).cloned().collect();
            let settings = Settings { candidates: args.candidates, tokens: args.tokens, ends: &[] };
            let runner = bench.model.runner.as_mut();
            let known = (&bench.model.facts, &bench.spec);
            cost::measure(runner, known, &mut bench.scorer, &adapter, &prompts, settings)
        })?;
        self.costs("on this base", &cost);
        report::paper_lines(&systems, orders, &cost).iter().for_each(|line| (self.tell)(line));
        drop(bench);
        match learn.filter(|_| args.learning.steps > 0) {
            None => Ok(()),
            Some(folder) => {
                let (kept, tell) = (&mut self.kept, &mut self.tell);
                let rows = learned::ablations(args, folder, kept, &cancelled, tell)?;
                self.mirror(&rows);
                Ok(())
            }
        }
    }

    /// Pair accuracies: the separate model, the adapter, and other adapters that are there.
    fn orders(&mut self, bench: &mut Bench, adapter: &Adapter, of: &str) -> Result<[Order; 2]> {
        let name = format!("order, separate, {of}");
        let separate = self.kept.or_measure(&name, || bench.separate_order())?;
        let size = format!("{} parameters", bench.scorer.facts.parameters);
        (self.tell)(&report::order_line("a model of its own", &size, separate));
        self.go_on()?;
        let stream =
            self.kept.or_measure(&format!("order, {of}"), || bench.stream_order(adapter))?;
        (self.tell)(&report::adapter_line(&adapter.facts, numbers(adapter), stream));
        self.bars.push(Bar::new(
            "pair accuracy within 2 points of the separate model",
            format!("{:.1} % against {:.1} %", 100.0 * stream.pairs, 100.0 * separate.pairs),
            stream.pairs >= separate.pairs - 0.02,
        ));
        let mut random = None;
        for path in &self.args.others {
            self.go_on()?;
            let other = bench.adapter(path)?;
            let name = format!("order of {}, {of}", other.fingerprint());
            let order = self.kept.or_measure(&name, || bench.stream_order(&other))?;
            (self.tell)(&report::adapter_line(&other.facts, numbers(&other), order));
            let (a, b) = (&adapter.facts, &other.facts);
            let same = (a.sizes, a.insertion) == (b.sizes, b.insertion);
            if same && b.initialisation == Initialisation::Random {
                random = Some(order.pairs);
            }
        }
        if let (Some(random), Initialisation::Mirror) = (random, adapter.facts.initialisation) {
            self.bars.push(Bar::new(
                "mirror initialisation at least as good as random",
                format!("{:.1} % against {:.1} %", 100.0 * stream.pairs, 100.0 * random),
                stream.pairs >= random,
            ));
        }
        Ok([separate, stream])
    }

    /// The table of systems.
    fn systems(
        &mut self,
        bench: &mut Bench,
        adapter: &Adapter,
        of: &str,
    ) -> Result<Vec<(String, Replies)>> {
        let args = self.args;
        let unit = format!("unit, {of}");
        let separate_unit = self.kept.or_measure(&unit, || bench.separate_unit(args))?;
        let stream_unit = adapter.facts.deviation.map_or(0.0, |unit| f64::from(unit.value));
        (self.tell)(&format!(
            "strength 1 is one deviation over {} candidates: {separate_unit:.4} of the separate \
             model, {stream_unit:.4} of the adapter",
            args.candidates
        ));
        let weight = |strength: f64, unit: f64| if unit > 0.0 { strength / unit } else { 0.0 };
        let mut systems = vec![
            ("greedy".to_owned(), System::Plain),
            ("greedy over candidate rows".to_owned(), System::Rows),
        ];
        for strength in &args.strengths {
            let system = System::Separate(weight(*strength, separate_unit));
            systems.push((format!("separate model, strength {strength}"), system));
        }
        systems.push(("adapter, strength 0".to_owned(), System::Stream(0.0)));
        for strength in &args.strengths {
            let system = System::Stream(weight(*strength, stream_unit));
            systems.push((format!("adapter, strength {strength}"), system));
        }
        (self.tell)(&report::systems_head());
        let mut measured = Vec::with_capacity(systems.len());
        for (name, system) in systems {
            self.go_on()?;
            let key = format!("replies, {name}, {of}");
            let replies = self.kept.or_measure(&key, || bench.replies(system, adapter, args))?;
            (self.tell)(&report::system_line(&name, &replies));
            measured.push((name, replies));
        }
        let ids_of = |wanted: &str| measured.iter().find(|(name, _)| name == wanted);
        let (plain, off) = (ids_of("greedy over candidate rows"), ids_of("adapter, strength 0"));
        if let (Some((_, plain)), Some((_, off))) = (plain, off) {
            let same = plain.ids.iter().zip(&off.ids).filter(|(a, b)| a == b).count();
            let all = bench.prompts.len();
            self.bars.push(Bar::new(
                "at strength 0 the replies are the plain ones of equal width",
                format!("{same} of {all}"),
                same == all,
            ));
        }
        Ok(measured)
    }

    /// Mirror against random of equal steps; where both put as many pairs in order, by their loss.
    fn mirror(&mut self, rows: &[Trained]) {
        let Some([mirror, random]) = learned::mirror_and_random(rows) else { return };
        let holds = match mirror.right == random.right {
            true => mirror.loss <= random.loss,
            false => mirror.right > random.right,
        };
        let said = |row: &Trained| format!("{:.1} % (loss {:.4})", 100.0 * row.right, row.loss);
        self.bars.push(Bar::new(
            &format!(
                "mirror initialisation at least as good as random after {} steps",
                mirror.steps
            ),
            format!("{} against {}", said(mirror), said(random)),
            holds,
        ));
    }

    /// Space and time at the shape of a real model.
    fn realistic(&mut self, folder: &Path) -> Result<()> {
        let args = self.args;
        let shape = args.shape;
        let config = realistic::config(shape);
        let tokens = args.tokens.min(24);
        let name = format!("cost at {shape:?}, {} candidates, {tokens} tokens", args.candidates);
        let cost = self.kept.or_measure(&name, || {
            realistic::measure(folder, &args.base, &config, args.candidates, tokens)
        })?;
        self.costs(realistic::place(shape), &cost);
        Ok(())
    }

    /// Space and time, and their bars.
    fn costs(&mut self, place: &str, cost: &Cost) {
        (self.tell)(place);
        cost.lines().iter().for_each(|line| (self.tell)(line));
        let shown = cost.shown / cost.plain - 1.0;
        self.bars.push(Bar::new(
            &format!("rewards shown cost at most 20 % a token {place}"),
            format!("{:+.1} %", 100.0 * shown),
            shown <= 0.2,
        ));
        self.bars.push(Bar::new(
            &format!("at least 86.5 % of the extra space saved {place}"),
            format!("{:.1} %", 100.0 * cost.space_saved()),
            cost.space_saved() >= 0.865,
        ));
        self.bars.push(Bar::new(
            &format!("at least 98.5 % of the extra time saved {place}"),
            format!(
                "{:.1} %; {:.1} % where the candidate rows are counted to the base, which a \
                 processor bound by arithmetic pays for and an accelerator hardly does",
                100.0 * cost.time_saved(),
                100.0 * cost.time_saved_at_equal_width()
            ),
            cost.time_saved() >= 0.985,
        ));
    }
}

fn numbers(adapter: &Adapter) -> usize {
    adapter.tensors.values().map(|tensor| tensor.values.len()).sum()
}
