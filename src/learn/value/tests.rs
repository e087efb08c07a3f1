//! The fit is exact, the end of a text is learnt, and a written head is read back.

use super::run::{pool, spread, trunk_path};
use super::{Lesson, Ridge, ValueArgs, Weighting, lessons, train};
use crate::model::Runner;
use crate::model::toy::{ToyOptions, ToyRunner, toy_language};
use crate::model::value::{HeadFacts, Pooling, ValueHead, open, write};

fn args(weighting: Weighting) -> ValueArgs {
    ValueArgs {
        trunk: "toy".into(),
        texts: Vec::new(),
        held_out: Vec::new(),
        most: None,
        out: "head".into(),
        weighting,
        pooling: Pooling::Last,
        ridge: 1e-9,
        raw: false,
        most_tokens: 1024,
    }
}

fn lesson(response: &str, reward: f32, finished: bool) -> Lesson {
    Lesson { prompt: "Hi".into(), response: response.into(), reward, finished }
}

#[test]
fn a_linear_target_is_found_exactly_whatever_the_weights() {
    let input = |i: u32| -> Vec<f32> {
        (0..6).map(|j| ((i * 37 + j * 11) % 17) as f32 / 5.0 - 1.5 + 0.1 * j as f32).collect()
    };
    let wanted = [0.5_f32, -1.0, 0.0, 2.0, 0.25, -0.75];
    let mut ridge = Ridge::new(6);
    for i in 0..200 {
        let x = input(i);
        let y: f32 = 3.0 + x.iter().zip(wanted).map(|(a, b)| a * b).sum::<f32>();
        ridge.add(&x, y, 1.0 + f64::from(i % 3));
    }
    let (weights, bias) = ridge.solve(1e-10).unwrap();
    for (got, wanted) in weights.iter().zip(wanted) {
        assert!((got - wanted).abs() < 1e-3, "{weights:?}");
    }
    assert!((bias - 3.0).abs() < 1e-3, "{bias}");
    assert!(Ridge::new(2).solve(1e-3).is_err(), "nothing to learn from");
}

#[test]
fn position_weights_are_flat_or_rise_to_a_sum_of_one() {
    assert_eq!(Weighting::Flat.of(3, 9), 1.0);
    let late: Vec<f64> = (1..=9).map(|at| Weighting::Late.of(at, 9)).collect();
    assert!((late.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((late[8] / late[0] - 9.0).abs() < 1e-12);
}

#[test]
fn rewards_of_texts_are_learnt_and_the_end_counts_as_a_prefix() {
    let boats = ["The boat holds north", "The wind turns slowly", "The river is light"];
    let mut training = Vec::new();
    for round in 0..4 {
        for (at, text) in boats.iter().enumerate() {
            training.push(lesson(&text[..text.len() - round], at as f32 - 1.0, true));
        }
    }
    // The toy's states are hashes, so nothing carries over to other texts: measured is the fit.
    let held = training.clone();
    for weighting in [Weighting::Flat, Weighting::Late] {
        let mut runner = ToyRunner::new(ToyOptions::default());
        let language = toy_language();
        let args = args(weighting);
        let mut learn = |training: &[Lesson]| {
            train(&args, &mut runner, &language, training, &held, || false, &mut |_: &str| {})
                .unwrap()
        };
        let (head, outcome) = learn(&training);
        if weighting == Weighting::Flat {
            assert!(outcome.error < outcome.error_of_mean, "no constant does better: {outcome:?}");
        }
        let cut: Vec<Lesson> =
            training.iter().map(|one| Lesson { finished: false, ..one.clone() }).collect();
        let (other, without) = learn(&cut);
        assert_eq!(outcome.prefixes, without.prefixes + training.len(), "one more of each");
        assert_ne!(head, other);
        assert_eq!(learn(&training).0, head, "nothing is drawn");
        assert_eq!(head.width(), runner.hidden_size());
    }
}

#[test]
fn a_head_goes_through_its_file_and_names_its_trunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    let head = ValueHead::scalar_with_bias(vec![0.5, -1.25, 3.0], 0.75).with_pooling(Pooling::Mean);
    let facts = HeadFacts {
        trunk_name: "toy".into(),
        trunk_fingerprint: "toy:toy".into(),
        trunk_path: "/models/toy".into(),
        how_made: "by hand".into(),
        created: "now".into(),
    };
    write(&path, &head, &facts).unwrap();
    let read = open(&path).unwrap();
    assert_eq!(read.output(&[1.0, 1.0, 1.0], 0), 0.5 - 1.25 + 3.0 + 0.75);
    assert_eq!((read.trunk(), read.pooling()), (Some(&facts), Pooling::Mean));
    // A trunk that lies together with its head is found wherever the two are moved.
    let beside = HeadFacts { trunk_path: "../guide".into(), ..facts.clone() };
    std::fs::create_dir_all(folder.path().join("scorers")).unwrap();
    std::fs::create_dir_all(folder.path().join("guide")).unwrap();
    let at = folder.path().join("scorers/head.safetensors");
    write(&at, &head, &beside).unwrap();
    let found = open(&at).unwrap().trunk().unwrap().trunk_path.clone();
    assert_eq!(found, folder.path().join("guide").canonicalize().unwrap());
    // A file of something else is refused by name.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
    assert!(open(&path).unwrap_err().to_string().contains("head.safetensors"));
}

#[test]
fn a_trunk_is_named_from_its_head_where_they_lie_together_and_texts_are_taken_evenly() {
    let of = |trunk: &str, out: &str| trunk_path(trunk.as_ref(), out.as_ref());
    let scorers = "/m/starter/scorers/a.safetensors";
    assert_eq!(of("/m/starter/guide", scorers), std::path::Path::new("../guide"));
    assert_eq!(of("/m/starter", scorers), std::path::Path::new(".."));
    assert_eq!(of("/m/other", scorers), std::path::absolute("/m/other").unwrap());
    let many: Vec<Lesson> = (0..10).map(|at| lesson("a", at as f32, true)).collect();
    let taken = |most| -> Vec<f32> {
        spread(many.clone(), most).iter().map(|lesson| lesson.reward).collect()
    };
    assert_eq!(taken(Some(5)), [1.0, 3.0, 5.0, 7.0, 9.0]);
    assert_eq!((taken(Some(20)).len(), taken(None).len(), taken(Some(3)).len()), (10, 10, 3));
}

#[test]
fn a_wrong_line_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("texts.jsonl");
    std::fs::write(&path, "{\"prompt\":\"a\",\"response\":\"b\",\"reward\":1}\n\n{\"prompt\":1}\n")
        .unwrap();
    let error = lessons::read(&path).unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("reward"), "{error}");
    std::fs::write(&path, "{\"prompt\":\"a\",\"response\":\"b\",\"reward\":1}\n").unwrap();
    assert!(lessons::read(&path).unwrap()[0].finished);
}

#[test]
fn a_pooled_state_is_the_mean_of_all_so_far() {
    let mut states = [1.0, -2.0, 3.0, 0.0, 2.0, 5.0];
    pool(&mut states, 2);
    assert_eq!(states, [1.0, -2.0, 2.0, -1.0, 2.0, 1.0]);
}
