//! The table of 27 combinations of levels: strengths that were found, what they are worth on
//! questions the search did not see, and the time all that took against training.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::arguments::VectorsArgs;
use super::bars::Bar;
use super::bench::Bench;
use super::report;
use super::search::{self, Limits, Search};

/// A found combination counts from here in its worst domain.
const REACHED: f64 = 0.6;
/// The search goes on until here, so that other questions still reach the bar.
const GOAL: f64 = 0.75;
/// How many combinations have to be reached.
const WANTED: usize = 20;

/// Searches, and tells every combination as soon as it is found.
///
/// # Errors
/// When a pass fails.
pub fn table(
    bench: &mut Bench,
    args: &VectorsArgs,
    bars: &mut Vec<Bar>,
    tell: &mut impl FnMut(&str),
) -> Result<()> {
    let starts = search::starts(&bench.facts);
    let begun = Instant::now();
    let seconds = Duration::try_from_secs_f64(args.search_seconds).unwrap_or(Duration::ZERO);
    let limits = Limits {
        goal: GOAL,
        each: args.budget,
        all: args.measurements,
        until: begun.checked_add(seconds),
    };
    let training: Option<f64> = bench.facts.iter().map(|facts| facts.training_seconds).sum();
    tell(&format!(
        "search: begins with at most {} measurements, {}; ends after {} or {:.0} s",
        starts.len(),
        match bench_is_calibrated(bench) {
            true => "where stored calibration expects the combinations",
            false => "a sweep of each vector, since their files hold no calibration",
        },
        args.measurements,
        args.search_seconds
    ));
    let (mut found, mut searching, mut checked) = (Vec::new(), 0.0, Vec::new());
    let measurements = {
        // Questions of the tables are asked in between, out of what the search may take.
        let shared = std::cell::RefCell::new(&mut *bench);
        let measure = |strengths| shared.borrow_mut().searched(strengths);
        let mut search = Search::begin(measure, &starts, limits)?;
        searching += begun.elapsed().as_secs_f64();
        tell(&format!("search: begun with {} in {searching:.1} s", search.measurements()));
        tell(&report::combinations_head());
        for wanted in search::combinations() {
            let begun = Instant::now();
            let Some(one) = search.find(wanted)? else { break };
            let seconds = begun.elapsed().as_secs_f64();
            searching += seconds;
            let asked = Instant::now();
            let rates = shared.borrow_mut().rates(one.strengths)?;
            search.postpone(asked.elapsed());
            let (worst, _) = search::worth(&rates, &wanted);
            tell(&report::combination_line(&one, worst, seconds));
            checked.push(worst);
            found.push(one);
        }
        search.measurements()
    };
    let reached = checked.iter().filter(|worst| **worst >= REACHED).count();
    let looked_for = found.iter().filter(|found| found.looked_for).count();
    tell(&format!(
        "search: {measurements} measurements in {searching:.0} s, {looked_for} of 27 combinations \
         looked for"
    ));
    tell(&against_training(training, searching, reached));
    bars.push(Bar::new(
        "at least 20 of the 27 combinations reach 60 % in their worst domain",
        format!("{reached} of 27, on questions the search did not see"),
        reached >= WANTED,
    ));
    Ok(())
}

fn bench_is_calibrated(bench: &Bench) -> bool {
    bench.facts.iter().all(|facts| facts.calibration.is_some())
}

/// One line about time. Training one combination takes all three domains' pairs, and so as long as
/// the three vectors took.
fn against_training(training: Option<f64>, searching: f64, reached: usize) -> String {
    let Some(training) = training else {
        return "training: the vectors' files do not say how long it took".to_owned();
    };
    let times = |combinations: f64| combinations * training / (training + searching);
    format!(
        "training: {training:.0} s for the three vectors, as recorded in their files; each of 27 \
         combinations trained by itself would take as long, {:.0} s in all: {:.1} times vectors and \
         search together ({:.1} times for the {reached} that were reached; the paper claims 12)",
        27.0 * training,
        times(27.0),
        times(reached as f64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_compared_with_what_was_reached_beside_it() {
        let line = against_training(Some(900.0), 300.0, 20);
        assert!(line.contains("24300 s") && line.contains("20.2 times"), "{line}");
        assert!(line.contains("15.0 times for the 20"), "{line}");
        assert!(against_training(None, 1.0, 27).contains("do not say"));
    }
}
