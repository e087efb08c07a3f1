//! What the search comes to at the ends of its settings, and what does not change it.

use super::stage::{Run, Scored, Stage, plan, spread};
use super::table::{letters, markov, tuned, untuned, whole_row};
use crate::decode::guide::tests::{pair, side};
use crate::decode::guide::{Guides, PrefixScorer};
use crate::decode::search::cost::{Prompts, forecast};
use crate::decode::search::{Constant, Explicit};
use crate::model::Runner;
use crate::model::value::ValueHead;
use crate::steer::Plan;

fn stage() -> Stage {
    Stage::new(letters(8, Vec::new()), whole_row)
}

fn value(ids: &[u32], _: bool) -> f32 {
    spread(ids)
}

fn guided(beta: f32) -> Guides {
    let pairs = vec![(pair(tuned, Some(untuned), 3, &[0, 1]), beta)];
    Guides { pairs, base_filter: 1.0, ..Guides::default() }
}

#[test]
fn one_row_is_plain_sampling_whatever_ranks_it() {
    for chunk in [0, 1, 3, 50] {
        let plan = plan(1, 1, chunk, 20);
        let run = stage().run(&plan, &mut Scored(value));
        assert_eq!(run.ids, stage().plain(&plan, None), "chunks of {chunk}");
    }
}

#[test]
fn best_of_n_is_the_best_of_n_samples_of_the_same_streams() {
    let run = stage().run(&plan(1, 6, 0, 9), &mut Scored(value));
    assert_eq!(run.boundaries.len(), 1);
    let rows = &run.boundaries[0].candidates;
    // Streams are rows: one row per run, drawn alone, is what the same row draws among others.
    let mut seen = std::collections::BTreeSet::new();
    for n in 1..=6 {
        let alone = stage().run(&plan(1, n, 0, 9), &mut Scored(value));
        for (a, b) in alone.boundaries[0].candidates.iter().zip(rows) {
            assert_eq!((&a.ids, a.value), (&b.ids, b.value), "row {} of {n}", a.row);
            seen.insert(a.ids.clone());
        }
        let best = alone.boundaries[0].candidates.iter().filter_map(|c| c.value);
        let best = best.fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(spread(&alone.ids), best);
    }
    assert!(seen.len() > 3, "rows differ");
    assert_eq!(run.ids, rows.iter().find(|row| row.rank == Some(0)).unwrap().ids);
}

#[test]
fn the_best_of_more_samples_is_never_worse() {
    let mut last = f32::NEG_INFINITY;
    for n in 1..=12 {
        let run = stage().run(&plan(1, n, 0, 7), &mut Scored(value));
        assert!(spread(&run.ids) >= last, "{n}");
        last = spread(&run.ids);
    }
}

#[test]
fn a_constant_value_is_the_token_level_sampler_of_the_first_row() {
    let stage = Stage::new(letters(3, Vec::new()), markov);
    for beta in [0.0, 0.7] {
        let searched = plan(2, 3, 4, 18);
        let run = stage.run_with(&searched, &mut guided(beta), &mut Constant, |_, _| {});
        let alone = stage.plain(&plan(1, 1, 0, 18), Some(guided(beta)));
        assert_eq!(run.ids, alone, "beta {beta}");
    }
}

#[test]
fn scores_may_be_stretched_and_shifted_and_turned_round() {
    let plan = plan(3, 2, 3, 21);
    let plain = stage().run(&plan, &mut Scored(value));
    let moved = stage().run(&plan, &mut Scored(|ids: &[u32], _| 4.0 * spread(ids) - 100.0));
    let ids = |run: &Run| -> Vec<Vec<(Vec<u32>, Option<usize>)>> {
        let one = |boundary: &crate::decode::search::Boundary| {
            boundary.candidates.iter().map(|c| (c.ids.clone(), c.rank)).collect()
        };
        run.boundaries.iter().map(one).collect()
    };
    assert_eq!(ids(&plain), ids(&moved));
    let turned = stage().run(&plan, &mut Scored(|ids: &[u32], _| -spread(ids)));
    for boundary in &turned.boundaries {
        let kept: Vec<f32> = boundary.kept().iter().filter_map(|c| c.value).collect();
        let least = kept.iter().copied().fold(f32::INFINITY, f32::min);
        let dropped = boundary.candidates.iter().filter(|c| c.rank.is_none());
        assert!(dropped.filter_map(|c| c.value).all(|value| value <= least));
        assert_eq!(kept.len(), 3);
    }
    assert_ne!(turned.ids, plain.ids);
}

/// The procedure written down once more, with the stream of each row given.
fn by_hand(plan: &Plan, streams: &[u32]) -> Vec<u32> {
    let search = &plan.guidance.search;
    let mut rows = vec![Vec::new(); search.rows()];
    for step in 0..plan.max_tokens.unwrap_or(0) {
        for (row, stream) in rows.iter_mut().zip(streams) {
            let context = [&[0, 1][..], row].concat();
            let u = crate::decode::draw::uniform(plan.seed, 1, *stream, step as u32);
            let logits = whole_row(&context);
            row.push(crate::decode::sampler::draw(&logits, &plan.sampling, u).unwrap());
        }
        if (step + 1) % search.chunk_length == 0 || Some(step + 1) == plan.max_tokens {
            let values: Vec<f32> = rows.iter().map(|row| spread(row)).collect();
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            let width = search.beam_width;
            rows = (0..rows.len()).map(|row| rows[order[row % width]].clone()).collect();
        }
    }
    rows[0].clone()
}

#[test]
fn swapping_streams_of_rows_of_one_parent_leaves_the_answer() {
    let plan = plan(2, 3, 3, 15);
    let run = stage().run(&plan, &mut Scored(value));
    assert_eq!(by_hand(&plan, &[0, 1, 2, 3, 4, 5]), run.ids);
    for swapped in [[2, 1, 0, 3, 4, 5], [0, 5, 2, 3, 4, 1], [4, 3, 0, 1, 2, 5]] {
        assert_eq!(by_hand(&plan, &swapped), run.ids, "{swapped:?}");
    }
    let single = self::plan(1, 5, 2, 12);
    let run = stage().run(&single, &mut Scored(value));
    assert_eq!(by_hand(&single, &[4, 2, 3, 0, 1]), run.ids, "any two with W = 1");
}

#[test]
fn a_replay_is_the_same_to_the_byte_and_another_seed_is_not() {
    let plan = plan(2, 4, 3, 24);
    let run = stage().run(&plan, &mut Scored(value));
    assert_eq!(stage().run(&plan, &mut Scored(value)), run);
    let other = stage().run(&Plan { seed: 12, ..plan }, &mut Scored(value));
    assert_ne!(other.ids, run.ids);
}

#[test]
fn the_cache_of_every_row_is_that_of_its_ids() {
    let plan = plan(2, 3, 3, 15);
    let mut looked = 0;
    stage().run_with(&plan, &mut Guides::default(), &mut Scored(value), |search, runner| {
        // Fed is all but the last id of a row; the table is a function of the whole row.
        for (row, (ids, _)) in search.rows().enumerate() {
            let mut own = runner.clone();
            own.gather(&[row]).unwrap();
            if own.len() + 1 == ids.len() {
                let held = own.step(&ids[ids.len() - 1..]).unwrap();
                assert_eq!(held.logits, whole_row(ids), "row {row}");
                looked += 1;
            }
        }
    });
    assert!(looked > 60, "{looked}");
}

#[test]
fn row_forwards_are_those_of_the_formula() {
    for (beam_width, successors, chunk, tokens) in [(4, 4, 5, 50), (2, 2, 30, 70), (1, 3, 0, 9)] {
        let plan = plan(beam_width, successors, chunk, tokens);
        let (rows, prompt) = (beam_width * successors, 2);
        let mut fed = None;
        let run =
            stage().run_with(&plan, &mut Guides::default(), &mut Scored(value), |_, runner| {
                fed = Some(*runner.fed.lock());
            });
        assert_eq!(run.fed.total(), prompt + rows * tokens);
        assert_eq!((run.fed.prompt, run.fed.steps), (prompt, tokens));
        // The last token of a row is drawn and never fed.
        assert_eq!(fed, Some((prompt, rows * (tokens - 1))));
        assert_eq!(run.boundaries.len(), tokens.div_ceil(if chunk == 0 { tokens } else { chunk }));
    }
}

#[test]
fn row_forwards_of_guides_and_scorer_are_those_of_the_formula() {
    for (beam_width, successors, chunk, tokens) in [(4, 4, 5, 50), (2, 2, 30, 70), (1, 3, 0, 9)] {
        let stage = Stage::new(letters(3, Vec::new()), markov);
        let plan = plan(beam_width, successors, chunk, tokens);
        let (rows, prompt) = (beam_width * successors, 2);
        let handle = pair(tuned, Some(untuned), 3, &[0, 1]);
        let pairs = vec![(std::sync::Arc::clone(&handle), 0.5)];
        let mut guides = Guides { pairs, base_filter: 1.0, ..Guides::default() };
        let head = ValueHead::scalar(vec![0.0, 0.3, -0.2, 0.9, 0.1, 0.4, -0.7]);
        let scorer = PrefixScorer::new("toy".into(), side(untuned, &[0, 1]), head, 3);
        let value = std::sync::Arc::new(parking_lot::Mutex::new(scorer));
        let explicit = &mut Explicit(std::sync::Arc::clone(&value));
        let run = stage.run_with(&plan, &mut guides, explicit, |_, _| {});
        assert_eq!(run.fed.total(), prompt + rows * tokens);
        // The scorer is asked of whole candidates, guides of what comes next: they are never fed
        // the last token of a row, as the base is not.
        assert_eq!(value.lock().row_forwards().total(), prompt + rows * tokens);
        for fed in handle.lock().row_forwards() {
            assert_eq!((fed.prompt, fed.rows), (prompt, rows * (tokens - 1)));
        }
        let models = Prompts { base: prompt, guides: 2 * prompt, guide_models: 2, scorer: prompt };
        let forecast = forecast(&plan.guidance.search, tokens, models);
        assert_eq!(forecast.base, run.fed.total());
        assert_eq!(forecast.scorer, value.lock().row_forwards().total());
        assert_eq!(forecast.guides, 2 * (prompt + rows * tokens));
    }
}

#[test]
fn a_batch_of_rows_draws_what_each_would_alone() {
    // Every candidate of every boundary, drawn again by hand along its own path and stream.
    let plan = plan(2, 2, 3, 12);
    let run = stage().run(&plan, &mut Scored(value));
    let mut paths: Vec<Vec<u32>> = Vec::new();
    for boundary in &run.boundaries {
        for branch in &boundary.candidates {
            let mut ids = branch.parent.map_or(Vec::new(), |parent| paths[parent].clone());
            for own in &branch.ids {
                let context = [&stage().prompt[..], &ids].concat();
                let u = crate::decode::draw::uniform(11, 1, branch.row as u32, ids.len() as u32);
                let logits = whole_row(&context);
                let drawn = crate::decode::sampler::draw(&logits, &plan.sampling, u).unwrap();
                assert_eq!(drawn, *own, "node {}", branch.node);
                ids.push(*own);
            }
            assert_eq!(branch.node, paths.len());
            paths.push(ids);
        }
    }
    assert_eq!(paths.len(), 4 * 4);
}
