//! Whatever rows a follower is shown, it gives what the model gives for them from scratch.

use proptest::prelude::*;

use crate::decode::guide::Follower;
use crate::decode::search::tests::table::{TableRunner, whole_row};

/// Something that depends on an id and everything before it.
fn note(fed: crate::decode::guide::follower::Fed<'_>) -> f32 {
    fed.before.map_or(-1.0, |before| before.logits[fed.id as usize % 8])
}

fn expected(row: &[u32], shared: usize) -> Vec<f32> {
    (0..row.len())
        .map(|at| match at {
            at if at < shared => 0.0,
            at => whole_row(&row[..at])[row[at] as usize % 8],
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_rows_after_any_others(
        rounds in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(0_u32..3, 0..7), 1..5), 1..8,
        ),
    ) {
        let prompt = [4, 5, 6];
        let mut follower = Follower::new(Box::new(TableRunner::new(whole_row)), prompt.len());
        for replies in rounds {
            let rows: Vec<Vec<u32>> =
                replies.iter().map(|reply| [&prompt[..], reply].concat()).collect();
            let shown: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
            follower.follow(&shown, &mut note).unwrap();
            for (at, row) in rows.iter().enumerate() {
                prop_assert_eq!(&follower.last(at).unwrap().logits, &whole_row(row));
                prop_assert_eq!(follower.notes(at), &expected(row, prompt.len())[..]);
            }
        }
    }
}

#[test]
fn rows_that_grow_cost_their_new_tokens_alone() {
    let prompt = vec![4; 300];
    let runner = TableRunner::new(whole_row);
    let fed = runner.fed.clone();
    let mut follower = Follower::new(Box::new(runner), prompt.len());
    let mut rows = vec![prompt.clone(); 4];
    for step in 0..10_u32 {
        for (at, row) in rows.iter_mut().enumerate() {
            row.push((step * 3 + at as u32) % 8);
        }
        let shown: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        follower.follow(&shown, &mut note).unwrap();
        follower.follow(&shown, &mut note).unwrap();
        // Every third step only two go on, each in two rows: copies cost nothing.
        if step % 3 == 2 {
            rows = [2, 1, 2, 1].map(|parent: usize| rows[parent].clone()).to_vec();
        }
    }
    assert_eq!(*fed.lock(), (300, 40));
    let counted = follower.row_forwards();
    assert_eq!((counted.prompt, counted.rows, counted.steps), (300, 40, 10));
}

#[test]
fn a_finished_row_costs_the_others_nothing() {
    let runner = TableRunner::new(whole_row);
    let fed = runner.fed.clone();
    let mut follower = Follower::new(Box::new(runner), 1);
    let short = vec![4, 1, 2];
    let mut long = vec![4, 2, 2];
    for _ in 0..6 {
        follower.follow(&[&short, &long], &mut note).unwrap();
        assert_eq!(follower.notes(0), expected(&short, 1));
        assert_eq!(follower.last(1).unwrap().logits, whole_row(&long));
        long.push(3);
    }
    assert_eq!(*fed.lock(), (1, 2 * 2 + 2 * 5));
}

#[test]
fn rows_that_do_not_fit_are_refused_and_the_next_ones_are_not_harmed() {
    let mut runner = TableRunner::new(whole_row);
    runner.context = 5;
    let mut follower = Follower::new(Box::new(runner), 1);
    follower.follow(&[&[1, 2, 3]], &mut note).unwrap();
    assert!(follower.follow(&[&[1; 6]], &mut note).is_err());
    assert!(follower.follow(&[], &mut note).is_err());
    follower.follow(&[&[1, 2, 3, 0], &[1, 5]], &mut note).unwrap();
    assert_eq!(follower.last(1).unwrap().logits, whole_row(&[1, 5]));
}
