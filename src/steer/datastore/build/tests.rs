//! Stores built with the toy model: what is kept, what a kill leaves, what one file's change does.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::model::toy::{END, ToyLoader, ToyOptions, ToyRunner, toy_language};
use crate::model::{Loader, Vocabulary};
use crate::steer::datastore::{Datastore, Reference};

struct Stage {
    folder: TempDir,
    model: ModelFacts,
}

impl Stage {
    fn new() -> Self {
        let model = ToyLoader::default().inspect(Path::new("toy")).unwrap();
        Self { folder: TempDir::new().unwrap(), model }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn begin(&self, files: &[PathBuf]) -> Builder {
        Builder::begin(&self.store(), &self.model, files).unwrap()
    }

    fn build(&self, files: &[PathBuf]) -> Vec<Source> {
        let settled = finish(&mut self.begin(files));
        assert!(Manifest::read(&self.store()).unwrap().is_some());
        settled
    }

    fn open(&self) -> Datastore {
        Datastore::open(&self.store()).unwrap()
    }
}

/// Runs a build to its end; the sources that were settled.
fn finish(builder: &mut Builder) -> Vec<Source> {
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let mut settled = Vec::new();
    loop {
        match builder.advance(&language, &mut runner).unwrap() {
            Advance::Settled(source) => settled.push(*source),
            Advance::Finished => return settled,
            _ => {}
        }
    }
}

fn ids(text: &str) -> Vec<u32> {
    crate::model::toy::ToyVocabulary.encode(text, false).unwrap()
}

fn values(store: &Datastore) -> Vec<u32> {
    (0..store.len()).map(|entry| store.value(entry)).collect()
}

#[test]
fn a_text_gives_every_token_after_its_first_with_its_place() {
    let stage = Stage::new();
    let text = "The boat holds north.\nA hand turns slowly home.\n";
    let settled = stage.build(&[stage.file("a.txt", text)]);
    assert_eq!(settled.len(), 1);
    let store = stage.open();
    assert_eq!(values(&store), ids(text)[1..]);
    assert_eq!(settled[0].entries, store.len());
    let slowly = values(&store).iter().position(|v| *v == ids(" slowly")[0]).unwrap();
    let passage = store.passage(slowly).unwrap();
    assert_eq!(passage.place.unwrap().to_string(), "line 2");
    assert_eq!(&passage.text[passage.value.clone()], " slowly");
    assert!(store.manifest.calibration.unwrap().temperature > 0.0);
    assert!(store.passage(store.len()).is_none());
}

#[test]
fn windows_overlap_so_that_every_token_is_kept_once() {
    let stage = Stage::new();
    let text: String = (0..700).map(|at| format!("{at} boat ")).collect();
    stage.build(&[stage.file("long.txt", &text)]);
    let store = stage.open();
    assert!(ids(&text).len() > 3 * WINDOW);
    assert_eq!(values(&store), ids(&format!("{text}\n"))[1..]);
    let last = store.passage(store.len() - 2).unwrap();
    assert_eq!(last.place.unwrap().to_string(), "line 1");
}

#[test]
fn a_query_through_steps_meets_its_key_and_generation_follows_the_store() {
    let stage = Stage::new();
    let pairs = r#"{"question": "When?", "answer": "At eight, from the harbour."}
{"question": "Where to?", "answer": "North, with the wind."}"#;
    stage.build(&[stage.file("pairs.jsonl", pairs)]);
    let (store, language) = (stage.open(), toy_language());
    let encoded = crate::learn::preference::encoding::encode(
        &language,
        "Where to?",
        &["North, with the wind."],
    )
    .unwrap();
    let mut runner = ToyRunner::new(ToyOptions::default());
    let (last, before) = encoded.prompt.split_last().unwrap();
    runner.prefill(before, Wanted::Last).unwrap();
    let mut output = runner.step(&[*last]).unwrap();
    let mut said = Vec::new();
    loop {
        let found = store.nearest(output.hidden_of(0), 1, 1);
        assert!(found[0][0].distance < 1e-5, "{:?}", found[0][0]);
        let reference = Reference::of(&found, 1.0, |entry| store.value(entry)).unwrap();
        let (token, probability) = reference.tokens[0];
        assert_eq!(probability, 1.0);
        said.push(token);
        if token == END {
            break;
        }
        output = runner.step(&[token]).unwrap();
    }
    assert_eq!(said, encoded.answers[0]);
    // The question's own tokens are no values.
    assert_eq!(store.len(), ids("At eight, from the harbour.").len() + said.len() + 1);
}

#[test]
fn a_key_knows_nothing_of_what_comes_after_it() {
    let keys = |text: &str| {
        let stage = Stage::new();
        stage.build(&[stage.file("a.txt", text)]);
        let store = stage.open();
        store.blocks().iter().flat_map(|block| block.keys.to_vec()).collect::<Vec<_>>()
    };
    let whole = keys("The boat holds north. And then it turns.");
    let cut = keys("The boat holds north.");
    let common = cut.len() - 8;
    assert_eq!(whole[..common], cut[..common]);
}

#[test]
fn a_reply_between_two_passes_changes_no_key() {
    let text: String = (0..200).map(|at| format!("{at} boat ")).collect();
    let keys = |disturbed: bool| {
        let stage = Stage::new();
        let mut builder = stage.begin(&[stage.file("long.txt", &text)]);
        let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
        let mut count = 0;
        while builder.advance(&language, &mut runner).unwrap() != Advance::Finished {
            count += 1;
            if disturbed && count < 40 && count % 3 == 0 {
                runner.gather(&[0]).unwrap();
                runner.truncate(0).unwrap();
                runner.prefill(&[1, 2, 3], Wanted::Last).unwrap();
                runner.gather(&[0, 0]).unwrap();
            }
        }
        let store = stage.open();
        store.blocks().iter().flat_map(|block| block.keys.to_vec()).collect::<Vec<_>>()
    };
    assert!(keys(false) == keys(true));
}

#[test]
fn every_rotation_gives_every_letter_once_and_the_right_text_under_it() {
    let options: Vec<String> = ["red", "blue", "green"].map(str::to_owned).to_vec();
    let mut labels = Vec::new();
    for rotation in 0..3 {
        let asked = asked("Which?", &options, 1, rotation);
        assert_eq!(asked.label, (1 + 3 - rotation) % 3);
        assert!(asked.prompt.contains(&format!("{}. blue\n", letter(asked.label))));
        labels.push(asked.label);
    }
    labels.sort_unstable();
    assert_eq!(labels, [0, 1, 2]);

    let stage = Stage::new();
    let line = r#"{"question": "Which?", "options": ["red", "blue", "green"], "answer": "B"}"#;
    stage.build(&[stage.file("choices.jsonl", line)]);
    let mut kept = values(&stage.open());
    kept.sort_unstable();
    assert_eq!(kept, [65, 66, 67]);
    let store = stage.open();
    let passage = store.passage(0).unwrap();
    assert_eq!(&passage.text[passage.value], " B");
}

#[test]
fn a_kill_leaves_what_is_done_and_nothing_is_done_twice() {
    let stage = Stage::new();
    let files =
        [stage.file("a.txt", "The boat holds."), stage.file("b.txt", "A hand turns slowly.")];
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let mut builder = stage.begin(&files);
    while !matches!(builder.advance(&language, &mut runner).unwrap(), Advance::Settled(_)) {}
    // The next file is begun and lost half-way.
    while builder.filling.is_none() {
        builder.advance(&language, &mut runner).unwrap();
    }
    std::mem::forget(builder);
    assert_eq!(stage.open().len(), ids("The boat holds.\n").len() - 1, "usable as it is");
    let first = Manifest::read(&stage.store()).unwrap().unwrap().sources[0].clone();
    let segment = Manifest::file_of(&stage.store(), &first);
    let before = fs::metadata(&segment).unwrap().modified().unwrap();

    let settled = finish(&mut stage.begin(&[]));
    assert_eq!(settled.len(), 1);
    assert!(settled[0].path.ends_with("b.txt"));
    assert_eq!(fs::metadata(&segment).unwrap().modified().unwrap(), before);
    let names: Vec<String> = fs::read_dir(stage.store().join("sources"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2, "nothing half-written is left: {names:?}");

    // Killed between a source's file and the list: the file is taken up as it is.
    let mut manifest = Manifest::read(&stage.store()).unwrap().unwrap();
    manifest.sources[0].state = SourceState::Waiting;
    manifest.write(&stage.store()).unwrap();
    let mut builder = stage.begin(&[]);
    assert_eq!(finish(&mut builder).len(), 1);
    assert_eq!(builder.tokens_fed, 0);
    assert!(finish(&mut stage.begin(&[])).is_empty());
}

#[test]
fn changing_and_removing_a_file_touches_that_file_alone() {
    let stage = Stage::new();
    let (a, b) =
        (stage.file("a.txt", "The boat holds."), stage.file("b.txt", "A hand turns slowly."));
    stage.build(&[a.clone(), b.clone()]);
    let files = || -> Vec<Vec<u8>> {
        let manifest = Manifest::read(&stage.store()).unwrap().unwrap();
        let of = |s: &Source| fs::read(Manifest::file_of(&stage.store(), s)).unwrap();
        manifest.sources.iter().map(of).collect()
    };
    let before = files();
    stage.file("b.txt", "A hand turns to the harbour now.");
    assert!(Manifest::read(&stage.store()).unwrap().unwrap().sources[1].is_outdated());
    let settled = stage.build(&[]);
    assert_eq!(settled.iter().map(|s| &s.path).collect::<Vec<_>>(), [&b]);
    let after = files();
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);

    // A file that is gone keeps its entries until it is taken out.
    fs::remove_file(&b).unwrap();
    assert!(stage.build(&[]).is_empty());
    remove(&stage.store(), &b).unwrap();
    assert_eq!(files(), after[..1]);
    assert_eq!(fs::read_dir(stage.store().join("sources")).unwrap().count(), 1);
    assert!(remove(&stage.store(), &b).unwrap_err().to_string().contains("b.txt"));
}

#[test]
fn the_order_of_files_changes_no_distribution() {
    let said = |turned: bool| {
        let stage = Stage::new();
        let mut files =
            [stage.file("a.txt", "The boat holds north."), stage.file("b.txt", "A hand turns.")];
        if turned {
            files.reverse();
        }
        stage.build(&files);
        let store = stage.open();
        let query: Vec<f32> = (0..8).map(|at| at as f32 / 9.0 - 0.4).collect();
        Reference::of(&store.nearest(&query, 2, 5), 0.1, |entry| store.value(entry)).unwrap().tokens
    };
    let (one, other) = (said(false), said(true));
    assert_eq!(one.len(), other.len());
    assert!(one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-12));
}

#[test]
fn one_bad_file_is_a_row_and_the_others_are_built() {
    let stage = Stage::new();
    let files = [
        stage.file("bad.pdf", "not one"),
        stage.file("good.txt", "The boat holds."),
        stage.folder.path().join("gone.txt"),
        stage.file("short.txt", "x"),
    ];
    let settled = stage.build(&files);
    let failed = |name: &str| {
        let source = settled.iter().find(|source| source.path.ends_with(name)).unwrap();
        match &source.state {
            SourceState::Failed(why) => why.clone(),
            other => panic!("{name}: {other:?}"),
        }
    };
    assert!(failed("bad.pdf").contains("no PDF"));
    assert!(failed("gone.txt").contains("no such file"));
    assert!(!stage.open().is_empty());
    // They are tried again, and one that is there now is taken.
    stage.file("gone.txt", "A hand turns slowly.");
    let settled = stage.build(&[]);
    assert!(settled.iter().any(|s| s.path.ends_with("gone.txt") && s.is_done()));
}

#[test]
fn another_model_or_folder_is_refused_and_a_lost_source_is_named() {
    let stage = Stage::new();
    let files =
        [stage.file("a.txt", "The boat holds."), stage.file("b.txt", "A hand turns slowly.")];
    stage.build(&files);
    let other = ToyLoader::default().inspect(Path::new("stranger")).unwrap();
    let refused = Builder::begin(&stage.store(), &other, &[]).err().unwrap().to_string();
    assert!(refused.contains("toy") && refused.contains("stranger"), "{refused}");
    let taken = Builder::begin(stage.folder.path(), &stage.model, &[]).err().unwrap();
    assert!(taken.what.contains("other things"));
    assert!(Datastore::open(stage.folder.path()).unwrap_err().to_string().contains("no datastore"));

    let store = stage.open();
    let file = Manifest::file_of(&stage.store(), &store.manifest.sources[0]);
    let whole = fs::read(&file).unwrap();
    for length in [0, 7, 100, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        let store = stage.open();
        assert_eq!(store.lost.len(), 1);
        assert!(store.lost[0].to_string().contains("a.txt"), "{}", store.lost[0]);
        assert_eq!(store.len(), ids("A hand turns slowly.\n").len() - 1);
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(stage.open().lost.len(), 1);
    // Building again puts right what was lost, and that alone.
    assert_eq!(stage.build(&[]).len(), 1);
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert!(stage.open().lost.is_empty());
    fs::write(stage.store().join("store.json"), "{").unwrap();
    assert!(Datastore::open(&stage.store()).unwrap_err().to_string().contains("store.json"));
}

#[test]
fn a_large_store_gets_a_graph_that_is_used_while_it_is_of_these_entries() {
    let stage = Stage::new();
    let number = |at: u64| crate::platform::random::number(5, 0, at);
    let text: String = (0..300).map(|at| format!("{} ", number(at))).collect();
    let mut builder = stage.begin(&[stage.file("a.txt", &text)]).with_index_from(2000);
    finish(&mut builder);
    let store = stage.open();
    let facts = store.manifest.index.clone().expect("a graph was made");
    assert_eq!(facts.entries, store.len());
    assert!(facts.recall >= 0.95 && facts.queries == 64, "{facts:?}");
    assert!(store.is_indexed());
    // The same neighbours as exact search, as far as recall says, and never one that is not there.
    let blocks = store.blocks();
    let keys = store.keys();
    let query: Vec<f32> = keys.key(1234).unwrap().iter().map(|key| key.to_f32()).collect();
    let exact = crate::steer::datastore::search::nearest(&blocks, &query, 1, 8, &(0..0)).remove(0);
    let found = store.nearest(&query, 1, 8).remove(0);
    assert_eq!(found[0], exact[0], "the entry itself");
    assert_eq!(found[0].distance, 0.0);
    // Several heads are looked at exactly.
    assert_eq!(store.nearest(&query, 2, 8).len(), 2);

    // A store that has changed is searched exactly until the graph is made anew.
    stage.build(&[stage.file("b.txt", "A hand turns slowly home.")]);
    assert!(!stage.open().is_indexed());
    finish(&mut stage.begin(&[]).with_index_from(2000));
    assert!(stage.open().is_indexed());
    // One that is damaged is no matter.
    fs::write(stage.store().join("index.hnsw.graph"), "nothing").unwrap();
    let store = stage.open();
    assert!(!store.is_indexed() && store.lost.is_empty());
    assert_eq!(store.nearest(&query, 1, 8).remove(0)[0], exact[0]);
}
