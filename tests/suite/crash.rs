//! Killing the program a hundred times, at any moment: between two writes, during a reply, while
//! it opens what the last kill left. What it had said to be kept must be there, whole.
//!
//! The program that is killed is this test itself, started again with an environment variable: it
//! talks to a real keeper on a real database until it is gone.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tiller::session::{
    Alternative, Answer, Ask, ConversationId, FinishedNode, Keeper, Node, NodeId, NodeState, Role,
    Settings, TokenTrace, settings,
};

const RUNS: u64 = 100;
const SEED: u64 = 20_261_122;

/// Names the folder to write into; set only in the process that is to be killed.
const WRITER: &str = "TILLER_TEST_CRASH_WRITER";
const RUN: &str = "TILLER_TEST_CRASH_RUN";

/// Before every line that reports, since the test harness writes to the same place.
const MARK: &str = "@@";

/// How long anything may take on a busy machine before the test calls it stuck.
const STUCK: Duration = Duration::from_secs(120);

#[test]
fn a_hundred_kills_lose_at_most_the_unfinished_reply() {
    if let Some(folder) = std::env::var_os(WRITER) {
        let run = std::env::var(RUN).unwrap().parse().unwrap();
        write_until_killed(Path::new(&folder), run);
    }
    let folder = tempfile::tempdir().unwrap();
    println!("seed {SEED}");
    let mut known = Known::default();
    for run in 0..RUNS {
        let reports = run_and_kill(folder.path(), run);
        let reached = reports.len();
        known.take(reports);
        check(folder.path(), run, reached, &mut known, run % 25 == 24);
    }
    println!("{} turns finished, {} cut short", known.finished.len(), known.cut_short);
    assert!(known.finished.len() >= 30, "the kills leave time to finish something");
    assert!(known.cut_short >= 5, "the kills do hit replies under way");
    assert!(known.tokens_survived > 0, "some of them between two checkpoints");
}

/// What the killed processes said.
#[derive(Default)]
struct Known {
    /// Replies that were begun: the conversation and the number of the turn.
    begun: BTreeMap<NodeId, (ConversationId, u64)>,
    /// Messages said to be kept.
    kept: Vec<NodeId>,
    /// Replies said to be kept whole; the second list is of the last run.
    finished: Vec<NodeId>,
    finished_last: Vec<NodeId>,
    cut_short: usize,
    /// Tokens of replies that a kill cut short.
    tokens_survived: usize,
}

impl Known {
    fn take(&mut self, reports: Vec<Vec<i64>>) {
        self.finished_last.clear();
        for report in reports {
            match report[..] {
                [0, conversation, node, turn] => {
                    self.begun.insert(NodeId(node), (ConversationId(conversation), turn as u64));
                }
                [1, node] => self.kept.push(NodeId(node)),
                [2, node] => self.finished_last.push(NodeId(node)),
                _ => panic!("not a report: {report:?}"),
            }
        }
        self.finished.extend(&self.finished_last);
    }
}

/// Starts a writer, kills it at a moment that the seed chooses, and gives what it reported.
fn run_and_kill(folder: &Path, run: u64) -> Vec<Vec<i64>> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_hundred_kills_lose_at_most_the_unfinished_reply"])
        .args(["--nocapture", "--test-threads", "1"])
        .env(WRITER, folder)
        .env(RUN, run.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut reports = Vec::new();
    let mut line = String::new();
    if run.is_multiple_of(2) {
        // As far into the database's log as the draw says: between two writes of one change, or of
        // two, wherever that is.
        let wished_bytes = draw(run, 0, 1) % 700_000;
        let log = folder.join("tiller.db-wal");
        let until = Instant::now() + STUCK;
        while std::fs::metadata(&log).map_or(0, |file| file.len()) < wished_bytes {
            assert!(Instant::now() < until, "run {run}: the writer is stuck");
            std::thread::yield_now();
        }
    } else {
        // After some reports, and a moment that falls anywhere.
        let wished = draw(run, 0, 1) % 14;
        let moment = Duration::from_micros(draw(run, 0, 2) % 20_000);
        while (reports.len() as u64) < wished && lines.read_line(&mut line).unwrap() > 0 {
            reports.extend(report(&line));
            line.clear();
        }
        let until = Instant::now() + moment;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it was killed still counts; half a line does not.
    while lines.read_line(&mut line).unwrap() > 0 {
        reports.extend(report(&line));
        line.clear();
    }
    reports
}

fn report(line: &str) -> Option<Vec<i64>> {
    let said = line.strip_suffix('\n')?.split_once(MARK)?.1;
    Some(said.split_whitespace().map(|number| number.parse().unwrap()).collect())
}

/// Opens what the kill left, as the next start would, and looks at everything.
fn check(folder: &Path, run: u64, reached: usize, known: &mut Known, thorough: bool) {
    let at = format!("seed {SEED}, run {run}, killed after {reached} reports");
    let database = folder.join("tiller.db");
    if !database.exists() {
        assert!(known.kept.is_empty(), "{at}: the database is gone");
        return;
    }
    let keeper = Keeper::start(database.clone(), || {}).unwrap();
    let Answer::Ready(ready) = next(&keeper) else { panic!("{at}: not ready") };
    assert!(ready.moved_aside.is_none() && ready.not_kept.is_none(), "{at}: {ready:?}");
    assert!(ready.recovered.len() <= 1, "{at}: {ready:?}");
    known.cut_short += ready.recovered.len();

    let finished = if thorough { &known.finished } else { &known.finished_last };
    for &node in finished {
        assert_whole(&keeper, known.begun[&node], node, &at);
    }
    for (conversation, node) in ready.recovered {
        let (_, turn) = known.begun[&node];
        let kept = read(&keeper, conversation, node).expect("it was recovered");
        assert_eq!(kept.state, NodeState::Partial, "{at}");
        assert!(reply(turn).starts_with(&kept.content), "{at}: {:?}", kept.content);
        assert!(!known.finished.contains(&node), "{at}: it was said to be finished");
        // What survived of the text has its tokens, no more and no fewer.
        keeper.send(Ask::Tokens(node));
        let mut survived = tokens(turn);
        survived.truncate(kept.content.chars().count());
        known.tokens_survived += survived.len();
        assert_eq!(next(&keeper), Answer::Tokens { node, tokens: survived }, "{at}");
    }
    for answer in keeper.close() {
        assert!(!matches!(answer, Answer::Failed { .. }), "{at}: {answer:?}");
    }
    assert_sound(&database, known, &at);

    let loaded = settings::load(&folder.join("settings.toml"));
    assert!(loaded.notes.is_empty(), "{at}: {:?}", loaded.notes);
    assert_eq!(loaded.settings, Settings { zoom: loaded.settings.zoom, ..Settings::default() });
}

fn assert_whole(keeper: &Keeper, from: (ConversationId, u64), node: NodeId, at: &str) {
    let (conversation, turn) = from;
    let kept = read(keeper, conversation, node);
    let kept = kept.unwrap_or_else(|| panic!("{at}: turn {turn} is lost"));
    assert_eq!((kept.content, kept.state), (reply(turn), NodeState::Finished), "{at}");
    assert_eq!(kept.recipe, Some(format!("{{\"turn\":{turn}}}")), "{at}");
    keeper.send(Ask::Tokens(node));
    let answer = next(keeper);
    assert_eq!(answer, Answer::Tokens { node, tokens: tokens(turn) }, "{at}");
}

/// The file itself: no damage, nothing pointing nowhere, the search index as the texts are, no
/// reply finished by halves, and every message that was said to be kept.
fn assert_sound(database: &Path, known: &Known, at: &str) {
    let connection = rusqlite::Connection::open(database).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok", "{at}");
    let mut strays = connection.prepare("PRAGMA foreign_key_check").unwrap();
    assert!(!strays.exists([]).unwrap(), "{at}: a row points nowhere");
    let mut parts = connection.prepare("SELECT 1 FROM trace_part").unwrap();
    assert!(!parts.exists([]).unwrap(), "{at}: parts of a trace that nobody writes any more");
    for index in ["title_index", "node_index"] {
        let sql = format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
        connection.execute(&sql, []).unwrap_or_else(|error| panic!("{at}: {index}: {error}"));
    }
    let mut half = connection
        .prepare(
            "SELECT 1 FROM node LEFT JOIN trace ON trace.node = node.id
             WHERE role = 'assistant' AND state = 'finished'
               AND (tokens IS NULL OR recipe IS NULL)",
        )
        .unwrap();
    assert!(!half.exists([]).unwrap(), "{at}: a finished reply without its tokens or recipe");
    let mut node = connection.prepare("SELECT 1 FROM node WHERE id = ?1").unwrap();
    for kept in &known.kept {
        assert!(node.exists([kept.0]).unwrap(), "{at}: message {} is lost", kept.0);
    }
}

fn read(keeper: &Keeper, conversation: ConversationId, node: NodeId) -> Option<Node> {
    keeper.send(Ask::Open(conversation));
    match next(keeper) {
        Answer::Opened(opened) => opened.tree.node(node).cloned(),
        _ => None,
    }
}

fn next(keeper: &Keeper) -> Answer {
    keeper.recv_timeout(STUCK).expect("the keeper answers")
}

/// Talks without end. Says what it begins before it asks, and what is kept once it is told.
fn write_until_killed(folder: &Path, run: u64) -> ! {
    let keeper = Keeper::start(folder.join("tiller.db"), || {}).unwrap();
    let settings_file = folder.join("settings.toml");
    let mut set = settings::load(&settings_file).settings;
    assert!(matches!(next(&keeper), Answer::Ready(_)));
    for number in 0.. {
        let turn = run * 1_000_000 + number;
        let conversation = ConversationId::fresh();
        let question = node(None, Role::User, format!("question {turn}"), NodeState::Finished);
        let answer = node(Some(question.id), Role::Assistant, String::new(), NodeState::Streaming);
        let id = answer.id;
        println!("{MARK} 0 {} {} {turn}", conversation.0, id.0);
        keeper.send(Ask::SetDraft { conversation: None, text: format!("draft {turn}") });
        keeper.send(Ask::PutNode { conversation, node: Box::new(question) });
        keeper.send(Ask::PutNode { conversation, node: Box::new(answer) });
        let whole = reply(turn);
        let all = tokens(turn);
        let mut from = 0;
        for end in (0..whole.len()).filter(|&end| whole.is_char_boundary(end)).step_by(40) {
            let content = whole[..end].to_owned();
            let reached = content.chars().count();
            let new = all[from..reached].to_vec();
            keeper.send(Ask::Checkpoint { node: id, content, from, tokens: new });
            from = reached;
        }
        let zoomed = Settings { zoom: 1.0 + (turn % 20) as f32 / 10.0, ..set.clone() };
        keeper.send(Ask::SaveSettings {
            path: settings_file.clone(),
            before: Box::new(set),
            after: Box::new(zoomed.clone()),
        });
        set = zoomed;
        keeper.send(Ask::FinishNode(Box::new(FinishedNode {
            node: id,
            content: whole,
            state: NodeState::Finished,
            tokens: tokens(turn),
            recipe: Some(format!("{{\"turn\":{turn}}}")),
            outcome: None,
        })));
        keeper.send(Ask::Rename { id: conversation, title: format!("turn {turn}") });
        loop {
            match next(&keeper) {
                Answer::Kept(node) => println!("{MARK} 1 {}", node.0),
                Answer::Finished(node) => {
                    println!("{MARK} 2 {}", node.0);
                    break;
                }
                Answer::Failed { problem, .. } => panic!("{problem}"),
                _ => {}
            }
        }
    }
    unreachable!("the numbers never end")
}

fn node(parent: Option<NodeId>, role: Role, content: String, state: NodeState) -> Node {
    Node {
        id: NodeId::fresh(),
        parent,
        role,
        content,
        state,
        created_ms: 1,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    }
}

/// What the reply of a turn says, the same in every process.
fn reply(turn: u64) -> String {
    const WORDS: [&str; 6] = ["harbour ", "灯台", "überall ", "sails\n", "زرقاء ", "tide "];
    let count = 20 + draw(turn, 1, 0) % 60;
    (0..count).map(|place| WORDS[(draw(turn, 2, place) % 6) as usize]).collect()
}

/// The trace of that reply, one token per character.
fn tokens(turn: u64) -> Vec<TokenTrace> {
    let token = |(place, c): (usize, char)| TokenTrace {
        id: c as u32,
        text: c.to_string(),
        logprob: -((draw(turn, 3, place as u64) % 1000) as f32) / 100.0,
        entropy: place as f32 / 7.0,
        alternatives: (0..10)
            .map(|id| Alternative { id, text: format!("<{id}>"), logprob: -(id as f32) })
            .collect(),
        reward: None,
    };
    reply(turn).chars().enumerate().map(token).collect()
}

/// A number that is a function of the seed and these three (SplitMix64's mixing).
fn draw(a: u64, b: u64, c: u64) -> u64 {
    let mut mixed = SEED;
    for part in [a, b, c] {
        mixed = (mixed ^ part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
    }
    mixed
}
