//! Texts that end: by an id, by a stop string, or because there is no more room.

use super::stage::{Scored, Stage, plan, spread};
use super::table::{letters, whole_row};
use crate::decode::guide::Guides;
use crate::decode::reply::Ending;
use crate::steer::Plan;

/// Letter 7 ends a text.
fn stage() -> Stage {
    Stage::new(letters(8, vec![7]), whole_row)
}

/// Prefers finished texts where told to, else by `spread`.
fn value(bonus: f32) -> impl FnMut(&[u32], bool) -> f32 + Send {
    move |ids, finished| spread(ids) + if finished { bonus } else { 0.0 }
}

#[test]
fn a_finished_text_and_its_value_never_change() {
    for skip_finished in [false, true] {
        let mut plan = plan(3, 2, 2, 40);
        plan.guidance.search.skip_finished = skip_finished;
        let run = stage().run(&plan, &mut Scored(value(0.0)));
        let branches: Vec<_> = run.boundaries.iter().flat_map(|b| &b.candidates).collect();
        let mut copies = 0;
        for branch in &branches {
            let Some(parent) = branch.parent.map(|parent| branches[parent]) else { continue };
            assert_eq!(branches[parent.node].node, parent.node, "nodes count through");
            if parent.finished {
                assert!(branch.finished && branch.ids.is_empty() && branch.text.is_empty());
                assert_eq!(branch.value, parent.value);
                copies += 1;
            }
        }
        assert!(copies > 0, "something was finished before the end");
    }
}

#[test]
fn it_stops_at_the_first_boundary_where_all_kept_are_done() {
    let run = stage().run(&plan(2, 2, 2, 60), &mut Scored(value(5.0)));
    let (last, before) = run.boundaries.split_last().unwrap();
    assert!(last.kept().iter().all(|branch| branch.finished));
    for boundary in before {
        assert!(!boundary.kept().iter().all(|branch| branch.finished));
    }
    assert_eq!(run.ending, Some(Ending::EndOfText));
    assert!(last.tokens < 60);
    let never = stage().run(&plan(2, 2, 7, 12), &mut Scored(value(-5.0)));
    assert!(never.boundaries.last().unwrap().tokens <= 12);
    assert!(never.ids.len() <= 12);
}

#[test]
fn a_finished_text_fills_the_faithful_search_and_takes_one_place_in_the_other() {
    let most_copies = |skip: bool| {
        let mut most = 0;
        for seed in 0..12 {
            let mut plan = Plan { seed, ..plan(2, 4, 2, 60) };
            plan.guidance.search.skip_finished = skip;
            let run = stage().run(&plan, &mut Scored(value(5.0)));
            let branches: Vec<_> = run.boundaries.iter().flat_map(|b| &b.candidates).collect();
            let mut copies = vec![0; branches.len()];
            for parent in branches.iter().filter_map(|branch| branch.parent) {
                copies[parent] += usize::from(branches[parent].finished);
            }
            most = most.max(copies.into_iter().max().unwrap_or(0));
        }
        most
    };
    assert_eq!(most_copies(false), 4, "K copies of the one that is finished");
    assert_eq!(most_copies(true), 1);
}

#[test]
fn a_stop_string_ends_a_row_when_it_is_ranked_and_is_not_shown() {
    let mut stopped = 0;
    for seed in 0..12 {
        let stop = vec!["da".into(), "e".into()];
        let plan = Plan { seed, stop, ..plan(2, 3, 4, 40) };
        let run = stage().run(&plan, &mut Scored(value(3.0)));
        assert!(!run.text.contains("da") && !run.text.contains('e'), "{}", run.text);
        let Some(Ending::StopString(stop)) = &run.ending else { continue };
        let branches: Vec<_> = run.boundaries.iter().flat_map(|b| &b.candidates).collect();
        let mut whole = String::new();
        let mut at = Some(run.boundaries.last().unwrap().kept()[0].node);
        while let Some(node) = at {
            whole.insert_str(0, &branches[node].text);
            at = branches[node].parent;
        }
        assert_eq!(whole, format!("{}{stop}", run.text), "ranked with the stop string at its end");
        stopped += 1;
    }
    assert!(stopped > 3, "{stopped}");
}

#[test]
fn no_room_in_a_context_ends_it_like_the_most_tokens() {
    use crate::decode::search::{Constant, Search, SearchProgress};
    use crate::decode::{Knobs, Passes, Reply, ReplyStart};
    let language = letters(8, Vec::new());
    for (context, room, tokens) in [(10, usize::MAX, 9), (500, 6, 6)] {
        let mut runner = super::table::TableRunner::new(whole_row);
        runner.context = context;
        let (mut passes, mut knobs) = (Passes::default(), Knobs::default());
        let start = ReplyStart { ids: vec![0, 1], prompt_len: 2, ..ReplyStart::default() };
        let plan = Plan { max_tokens: None, ..plan(2, 2, 4, 0) };
        let (mut reply, _) =
            Reply::begin(&language, &mut runner, &mut passes, &mut knobs, start, plan).unwrap();
        while !reply.is_prompted() {
            reply.advance(&mut runner, &mut []).unwrap();
        }
        let prompted = reply.into_prompted(false).ok().unwrap();
        let mut search = Search::begin(prompted, &mut runner, room).unwrap();
        let mut drawn = 0;
        let ending = loop {
            let (guides, scorer) = (&mut Guides::default(), &mut Constant);
            match search.advance(&mut runner, guides, &mut [], scorer).unwrap() {
                SearchProgress::Ended(_, _, ending) => break ending,
                _ => drawn = search.drawn(),
            }
        };
        assert_eq!((ending, search.drawn().max(drawn)), (Ending::ContextFull, tokens));
    }
}

#[test]
fn stopping_keeps_the_best_text_of_the_last_ranking() {
    let stage = Stage::new(letters(8, Vec::new()), whole_row);
    let plan = plan(2, 2, 3, 12);
    let whole = stage.run(&plan, &mut Scored(value(0.0)));
    let mut left = None;
    let (guides, scorer) = (&mut Guides::default(), &mut Scored(value(0.0)));
    let run = stage.run_with(&plan, guides, scorer, |search, _| {
        if search.drawn() == 7 && left.is_none() {
            left = Some(search.release());
        }
    });
    let branches: Vec<_> = whole.boundaries.iter().flat_map(|b| &b.candidates).collect();
    let best = whole.boundaries[1].kept()[0];
    let path = [&branches[best.parent.unwrap()].ids[..], &best.ids].concat();
    let left: Vec<u32> = left.unwrap().iter().map(|token| token.id).collect();
    assert_eq!([run.ids, left].concat(), path);
}
