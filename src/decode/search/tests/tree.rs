//! What is told at boundaries, what settles, and scores that are no numbers.

use super::stage::{Scored, Stage, plan, spread};
use super::table::{letters, whole_row};

fn stage() -> Stage {
    Stage::new(letters(8, Vec::new()), whole_row)
}

#[test]
fn after_a_boundary_row_j_is_a_copy_of_the_kept_j_mod_w() {
    let plan = plan(3, 2, 3, 12);
    let mut ranked = 0;
    let mut last_drawn = 0;
    let language = stage();
    let guides = &mut crate::decode::guide::Guides::default();
    language.run_with(
        &plan,
        guides,
        &mut Scored(|ids: &[u32], _| spread(ids)),
        |search, runner| {
            let drawn = search.drawn();
            if drawn % 3 == 0 && drawn > last_drawn && drawn < 12 {
                let rows: Vec<_> = search.rows().map(|(ids, done)| (ids.to_vec(), done)).collect();
                for (row, own) in rows.iter().enumerate() {
                    assert_eq!(*own, rows[row % 3]);
                    let cache = |row: usize| {
                        let mut one = runner.clone();
                        crate::model::Runner::gather(&mut one, &[row]).unwrap();
                        crate::model::Runner::ids(&one).to_vec()
                    };
                    assert_eq!(cache(row), cache(row % 3));
                    assert!(own.0.starts_with(&cache(row)));
                }
                ranked += 1;
            }
            last_drawn = drawn;
        },
    );
    assert_eq!(ranked, 3);
}

#[test]
fn kept_values_are_no_smaller_than_dropped_ones_and_parents_were_kept() {
    let run = stage().run(&plan(2, 4, 2, 20), &mut Scored(|ids: &[u32], _| spread(ids)));
    let branches: Vec<_> = run.boundaries.iter().flat_map(|b| &b.candidates).collect();
    for boundary in &run.boundaries {
        let worst = boundary.kept().last().unwrap().value;
        assert!(boundary.candidates.iter().all(|c| c.rank.is_some() || c.value <= worst));
        for branch in &boundary.candidates {
            assert!(branch.parent.is_none_or(|parent| branches[parent].rank.is_some()));
        }
    }
    let first = &run.boundaries[0].candidates;
    let distinct: std::collections::BTreeSet<_> = first.iter().map(|c| c.ids.clone()).collect();
    assert!(distinct.len() > 4, "the first chunk is n samples, not K");
}

#[test]
fn what_streams_is_only_what_all_survivors_share() {
    let plan = plan(3, 3, 2, 30);
    let run = stage().run(&plan, &mut Scored(|ids: &[u32], _| spread(ids)));
    let mut paths: Vec<Vec<u32>> = Vec::new();
    let mut told = Vec::new();
    let mut early = 0;
    let language = stage();
    let mut runner = super::table::TableRunner::new(whole_row);
    let _ = (&mut runner, &language);
    for boundary in &run.boundaries {
        for branch in &boundary.candidates {
            let start = branch.parent.map_or(Vec::new(), |parent: usize| paths[parent].clone());
            paths.push([start, branch.ids.clone()].concat());
        }
        let kept: Vec<&Vec<u32>> = boundary.kept().iter().map(|c| &paths[c.node]).collect();
        let same = (0..kept[0].len())
            .take_while(|at| kept.iter().all(|path| path.get(*at) == kept[0].get(*at)))
            .count();
        assert!(kept[0].starts_with(&told), "what was told is never taken back");
        told = kept[0][..same].to_vec();
        early += usize::from(same > 0);
    }
    assert!(early > 3, "something settles before the end");
    assert_eq!(run.ids, paths[run.boundaries.last().unwrap().kept()[0].node]);
}

#[test]
fn a_candidate_without_a_number_ranks_last_and_is_counted() {
    let mut calls = 0;
    let mut odd = Scored(move |ids: &[u32], _| {
        calls += 1;
        if calls % 3 == 0 { f32::NAN } else { spread(ids) }
    });
    let run = stage().run(&plan(2, 3, 2, 8), &mut odd);
    for boundary in &run.boundaries {
        assert_eq!(boundary.without_value, 2);
        assert!(boundary.kept().iter().all(|c| c.value.is_some()));
        let json = serde_json::to_string(boundary).unwrap();
        assert!(json.contains("\"value\":null"), "{json}");
        let mut bare = boundary.clone();
        bare.candidates.iter_mut().for_each(|candidate| candidate.tokens.clear());
        let read: crate::decode::search::Boundary = serde_json::from_str(&json).unwrap();
        assert_eq!(read, bare);
    }
    let none = stage().run(&plan(2, 3, 2, 8), &mut Scored(|_: &[u32], _| f32::NAN));
    assert_eq!(none.ids.len(), 8, "no number at all is a tie");
}

#[test]
fn width_successors_and_length_change_at_the_next_boundary() {
    let mut plan = plan(2, 2, 4, 24);
    let wider = {
        let mut wider = plan.clone();
        wider.guidance.search.beam_width = 3;
        wider.guidance.search.successors = 3;
        wider.guidance.search.chunk_length = 2;
        wider
    };
    plan.seed = 3;
    let guides = &mut crate::decode::guide::Guides::default();
    let run =
        stage().run_with(&plan, guides, &mut Scored(|ids: &[u32], _| spread(ids)), |search, _| {
            if search.drawn() == 6 {
                search.set_plan(wider.clone(), 8).unwrap();
            }
        });
    let shape: Vec<_> = run.boundaries.iter().map(|b| (b.tokens, b.candidates.len())).collect();
    assert_eq!(&shape[..4], [(4, 4), (8, 4), (10, 9), (12, 9)]);
    assert_eq!((run.boundaries[1].beam_width, run.boundaries[1].successors), (3, 3));
}
