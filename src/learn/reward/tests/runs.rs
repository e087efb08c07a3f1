//! Whole runs on a micro model: learning, taking up again, refusing, and the time they are said to
//! take.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use candle_core::Device;

use crate::learn::base::corpus::Document;
use crate::learn::base::export::{self as base_export, Precision as BasePrecision};
use crate::learn::base::{BaseArgs, vocabulary};
use crate::learn::network::Network;
use crate::learn::random;
use crate::learn::reward::arguments::{Begin, Begins, Place, Schedule, StreamArgs};
use crate::learn::reward::{RewardArgs, Told, estimate, run, state};
use crate::model::reward::{Initialisation, file};
use crate::model::scorer::Scorer;
use crate::model::{LoadOptions, Wanted};
use crate::platform::Cancelled;

/// A base folder of hidden size 32 and a file of pairs, all of which prefer a fox to a cat.
fn stage(folder: &Path) -> RewardArgs {
    let document = Document { text: "the old fox and the cat sleep by the tree".repeat(4) };
    let tokenizer = vocabulary::train(&[document.clone(), document], 300).unwrap();
    let sizes = BaseArgs {
        hidden: 32,
        layers: 2,
        heads: 4,
        key_heads: Some(2),
        ffn: 48,
        context: 64,
        ..BaseArgs::new(Vec::new(), PathBuf::new())
    };
    let shape = sizes.shape(tokenizer.get_vocab_size(true));
    let network = Network::with(shape, &Device::Cpu, |index, name, count| {
        let (mean, deviation) = if name.ends_with("norm") { (1.0, 0.1) } else { (0.0, 0.3) };
        let value = |i: u64| mean + deviation * random::normal(5, index, i);
        Ok((0..count as u64).map(value).collect())
    });
    let base = folder.join("base");
    std::fs::create_dir_all(&base).unwrap();
    base_export::write(&base, &network.unwrap(), &tokenizer, BasePrecision::F32).unwrap();
    let asks = ["who sleeps", "who is by the tree", "the old one", "and who", "cat or fox"];
    let mut lines = String::new();
    for (number, ask) in asks.iter().cycle().take(40).enumerate() {
        let place = ["by the tree", "and sleep", "the old"][number % 3];
        let pair = serde_json::json!({ "prompt": ask, "chosen": format!("the fox {place}"),
            "rejected": format!("the cat {place}") });
        lines += &format!("{pair}\n");
    }
    lines += "not a pair\n";
    let pairs = folder.join("pairs.jsonl");
    std::fs::write(&pairs, lines).unwrap();
    let schedule = Schedule { batch: 8, epochs: 3, learning_rate: 1e-2, ..Schedule::default() };
    RewardArgs { schedule, ..RewardArgs::new(base, vec![pairs], folder.join("fox.safetensors")) }
}

/// Runs until a line begins like this, and cancels there.
fn stopped_at(args: &RewardArgs, step: &str) {
    let reached = Cell::new(false);
    let tell = |told: Told<'_>| {
        reached.set(reached.get() || told.to_string().starts_with(step));
    };
    let error = run(args, || reached.get(), tell).unwrap_err();
    assert!(error.is::<Cancelled>(), "{error:#}");
    assert!(reached.get() && state::path_of(&args.out).exists());
}

#[test]
fn an_adapter_is_learned_and_its_file_holds_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    let bytes = |args: &RewardArgs| std::fs::read(args.base.join("model.safetensors")).unwrap();
    let untouched = bytes(&stage);
    for (number, (initialisation, insertion)) in
        [(Begin::Mirror, Place::Both), (Begin::Random, Place::Attention), (Begin::Zero, Place::Mlp)]
            .into_iter()
            .enumerate()
    {
        let out = folder.path().join(format!("fox{number}.safetensors"));
        let stream = StreamArgs { initialisation, insertion, one_in: 2, ..StreamArgs::default() };
        let args = RewardArgs { stream, out, ..stage.clone() };
        let mut said = Vec::new();
        let outcome = run(&args, || false, |told| said.push(told.to_string())).unwrap();
        assert_eq!(outcome.after.accuracy(), Some(1.0), "{initialisation:?} {said:?}");
        assert!(outcome.after.loss() < outcome.before.loss(), "{outcome:?}");
        assert!(said.iter().any(|line| line.contains("line 41")), "{said:?}");
        assert!(!state::path_of(&args.out).exists(), "a finished run leaves no state");
        let adapter = file::read(&args.out).unwrap();
        let facts = &adapter.facts;
        assert_eq!(facts.name, format!("fox{number}"));
        let training = facts.training.as_ref().unwrap();
        assert_eq!((training.examples, training.held_out), (38, 2));
        assert_eq!(training.pair_accuracy, Some(1.0));
        assert_eq!(facts.initialisation, args.stream.initialisation());
        assert!(facts.deviation.is_some_and(|unit| unit.value > 0.0), "{said:?}");
        // What the run-time stream makes of it, on the model as a person loads it.
        let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
        let mut model = crate::model::load::load(&args.base, &options, &mut |_, _| true).unwrap();
        facts.check_model(&model.facts).unwrap();
        model.runner.insert(Some(&adapter)).unwrap();
        let mut reward = |answer: &str| {
            let encoded = crate::learn::preference::encoding::encode(
                &model.language,
                "who sleeps",
                &[answer],
            );
            let encoded = encoded.unwrap();
            let ids: Vec<u32> =
                encoded.prompt.into_iter().chain(encoded.answers[0].clone()).collect();
            model.runner.truncate(0).unwrap();
            model.runner.prefill(&ids, Wanted::Last).unwrap().reward[0]
        };
        assert!(reward("the fox by the tree") > reward("the cat by the tree"));
    }
    assert!(bytes(&stage) == untouched, "the base was written");
}

#[test]
fn a_cache_and_workers_change_nothing_that_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let plain = stage(folder.path());
    let kept = folder.path().join("kept");
    let out = folder.path().join("cached.safetensors");
    let cached = RewardArgs { cache: Some(kept.clone()), out, ..plain.clone() };
    run(&plain, || false, |_| {}).unwrap();
    run(&cached, || false, |_| {}).unwrap();
    let tensors = |args: &RewardArgs| file::read(&args.out).unwrap().tensors;
    assert!(tensors(&plain) == tensors(&cached), "the cache changed what was learned");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), 0, "the cache is gone");
}

#[test]
fn a_run_taken_up_again_is_the_same_run_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut straight = stage(folder.path());
    straight.schedule.patience = 50;
    run(&straight, || false, |_| {}).unwrap();
    let out = folder.path().join("broken.safetensors");
    let mut broken = RewardArgs { out, ..straight.clone() };
    for step in ["step 6 ", "step 11 "] {
        stopped_at(&broken, step);
        let again = run(&RewardArgs { resume: false, ..broken.clone() }, || false, |_| {});
        assert!(again.unwrap_err().to_string().contains("--resume"));
        broken.resume = true;
    }
    let with = |change: &dyn Fn(&mut RewardArgs)| {
        let mut other = broken.clone();
        change(&mut other);
        run(&other, || false, |_| {}).unwrap_err().to_string()
    };
    let seed = with(&|args| args.schedule.seed = 2);
    assert!(seed.contains("the seed") || seed.contains("what is trained"), "{seed}");
    assert!(with(&|args| args.schedule.epochs = 1).contains("the length"));
    assert!(with(&|args| args.stream.insertion = Place::Mlp).contains("what is trained"));
    run(&broken, || false, |_| {}).unwrap();
    let tensors = |args: &RewardArgs| file::read(&args.out).unwrap().tensors;
    assert!(tensors(&straight) == tensors(&broken), "the adapters differ");
}

#[test]
fn a_broken_state_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    stopped_at(&args, "step 3 ");
    args.resume = true;
    let state = state::path_of(&args.out);
    let whole = std::fs::read(&state).unwrap();
    for cut in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&state, &whole[..cut]).unwrap();
        let error = run(&args, || false, |_| {}).unwrap_err();
        assert!(error.to_string().contains("fox.safetensors.training"), "{error:#}");
    }
}

#[test]
fn a_run_that_gets_no_better_stops_and_keeps_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    // Held out is the opposite of what is trained on: every step makes it worse.
    let held_out = folder.path().join("opposite.jsonl");
    let turned = std::fs::read_to_string(&args.pairs[0]).unwrap();
    let turned =
        turned.replace("the fox", "X").replace("the cat", "the fox").replace('X', "the cat");
    std::fs::write(&held_out, turned).unwrap();
    args.held_out = vec![held_out];
    args.schedule = Schedule { patience: 2, epochs: 20, ..args.schedule };
    let mut said = Vec::new();
    let outcome = run(&args, || false, |told| said.push(told.to_string())).unwrap();
    assert!(outcome.stopped_early && outcome.steps < 20, "{outcome:?} {said:?}");
    assert!(said.iter().any(|line| line.contains("that is what is kept")), "{said:?}");
}

#[test]
fn ratings_are_learned_in_their_own_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    let line = |answer: &str, rating: f64| {
        let asks = ["who sleeps", "who is by the tree", "the old one"];
        let one = |ask: &&str| {
            let line = serde_json::json!({ "prompt": ask, "answer": answer, "rating": rating });
            format!("{line}\n")
        };
        asks.iter().map(one).collect::<String>()
    };
    let ratings = folder.path().join("ratings.jsonl");
    let lines = line("the fox", 9.0) + &line("the cat", 5.0) + &line("the tree", 7.0);
    std::fs::write(&ratings, lines.repeat(6)).unwrap();
    args.pairs.clear();
    args.ratings = vec![ratings];
    args.schedule.epochs = 12;
    let outcome = run(&args, || false, |_| {}).unwrap();
    assert!(outcome.after.explained().unwrap() > 0.9, "{outcome:?}");
    let adapter = file::read(&args.out).unwrap();
    assert_eq!(adapter.facts.training.as_ref().unwrap().objective, "ratings");
    let bias = &adapter.tensors["head.reward.bias"].values;
    assert!(bias[0] > 3.0, "rewards are around the mean of the ratings: {bias:?}");
}

#[test]
fn a_model_of_its_own_is_learned_and_loads_as_a_scorer() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    args.separate = true;
    args.out = folder.path().join("judge");
    args.schedule.learning_rate = 3e-3;
    let outcome = run(&args, || false, |_| {}).unwrap();
    assert_eq!(outcome.after.accuracy(), Some(1.0), "{outcome:?}");
    let config = std::fs::read_to_string(args.out.join("config.json")).unwrap();
    assert!(config.contains("LlamaForSequenceClassification"), "{config}");
    let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
    let mut scorer = Scorer::open(&args.out, &options, &mut |_, _| true).unwrap();
    let mut reward = |answer: &str| {
        let encoded =
            crate::learn::preference::encoding::encode(&scorer.language, "who sleeps", &[answer]);
        let encoded = encoded.unwrap();
        let ids: Vec<u32> = encoded.prompt.into_iter().chain(encoded.answers[0].clone()).collect();
        let whole = scorer.reward(&ids).unwrap();
        let along = scorer.rewards_along(&ids).unwrap();
        assert!((along[ids.len() - 1] - whole).abs() < 1e-5);
        whole
    };
    assert!(reward("the fox by the tree") > reward("the cat by the tree"));
    // A language model is none, and says what it lacks.
    let error = Scorer::open(&args.base, &options, &mut |_, _| true).err().unwrap();
    assert!(error.to_string().contains("no head that gives a score"), "{error:#}");
    let again = run(&args, || false, |_| {}).unwrap_err();
    assert!(again.to_string().contains("in this folder already"), "{again:#}");
}

#[test]
fn what_cannot_be_trained_with_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let args = stage(folder.path());
    let refused = |change: &dyn Fn(&mut RewardArgs)| {
        let mut other = args.clone();
        change(&mut other);
        run(&other, || false, |_| {}).unwrap_err().to_string()
    };
    assert!(refused(&|args| args.schedule.batch = 0).contains("--batch"));
    assert!(refused(&|args| args.stream.one_in = 0).contains("--one-in"));
    let dead = refused(&|args| {
        args.stream.initialisation = Begin::Zero;
        args.stream.start = Some(Begins::Zeros);
    });
    assert!(dead.contains("nothing would ever be learned"), "{dead}");
    assert_eq!(StreamArgs::default().initialisation(), Initialisation::Mirror);
}

#[test]
fn the_time_is_measured_on_the_run_s_own_lessons_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let args = stage(folder.path());
    let found = estimate(&args, || false).unwrap();
    assert_eq!((found.steps, found.lessons, found.held_out), (15, 38, 2));
    assert!(found.measured.0 > 0 && found.measured.1 > 0.0 && found.seconds > 0.0, "{found:?}");
    assert!(found.phrase().contains("for 15 steps over 38 lessons"), "{}", found.phrase());
    assert!(!args.out.exists() && !state::path_of(&args.out).exists());
    assert!(estimate(&args, || true).unwrap_err().is::<Cancelled>());
    let other = RewardArgs { rounded_to: Some("q8_0".into()), ..args.clone() };
    let refused = estimate(&other, || false).unwrap_err().to_string();
    assert!(refused.contains("rounded to q8_0"), "{refused}");
    let refused = run(&other, || false, |_| {}).unwrap_err().to_string();
    assert!(refused.contains("rounded to q8_0"), "{refused}");
}

#[test]
fn experts_and_drafts_are_learned_beside_the_reward_in_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = stage(folder.path());
    args.stream = StreamArgs { experts: true, drafts: 2, one_in: 2, ..StreamArgs::default() };
    args.schedule.epochs = 6;
    let mut said = Vec::new();
    let outcome = run(&args, || false, |told| said.push(told.to_string())).unwrap();
    assert!(said.iter().any(|line| line.contains("prompts itself to draft from")), "{said:?}");
    assert_eq!(outcome.after.accuracy(), Some(1.0), "{said:?}");
    assert!(outcome.after.nats() < outcome.before.nats(), "{said:?}");
    let adapter = file::read(&args.out).unwrap();
    let heads = adapter.heads();
    assert_eq!((heads.experts, heads.drafts), (true, 2));
    let training = adapter.facts.training.as_ref().unwrap();
    assert_eq!(training.objective, "pairwise, experts, drafts 2 ahead");
    assert_eq!((training.examples, training.held_out), (38, 2), "its own answers judge nothing");
    // The expert says of the prompt what better answers begin with, the other what worse ones do.
    let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
    let mut model = crate::model::load::load(&args.base, &options, &mut |_, _| true).unwrap();
    model.runner.insert(Some(&adapter)).unwrap();
    let answers = ["the fox by the tree", "the cat by the tree"];
    let encoded =
        crate::learn::preference::encoding::encode(&model.language, "who sleeps", &answers);
    let encoded = encoded.unwrap();
    let [fox, cat] = [&encoded.answers[0], &encoded.answers[1]];
    let parts = fox.iter().zip(cat.iter()).position(|(fox, cat)| fox != cat).unwrap();
    let ids: Vec<u32> = encoded.prompt.iter().chain(&fox[..parts]).copied().collect();
    let output = model.runner.prefill(&ids, Wanted::Last).unwrap();
    let difference = |id: u32| output.detox[id as usize];
    assert!(difference(fox[parts]) > difference(cat[parts]) + 1.0, "{said:?}");

    // Heads are part of what a run is.
    let ratings = RewardArgs { ratings: args.pairs.clone(), pairs: Vec::new(), ..args.clone() };
    assert!(run(&ratings, || false, |_| {}).unwrap_err().to_string().contains("--experts"));
    let many = StreamArgs { drafts: 9, ..args.stream.clone() };
    let many = RewardArgs { stream: many, ..args };
    assert!(run(&many, || false, |_| {}).unwrap_err().to_string().contains("--drafts"));
}
