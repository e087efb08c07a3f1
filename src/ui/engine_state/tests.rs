//! What the window knows of the engine after its events.

use super::*;
use crate::session::TokenTrace;

fn token(id: u64) -> Event {
    let trace = TokenTrace {
        id: 1,
        text: "a".into(),
        logprob: -0.1,
        entropy: 0.2,
        alternatives: vec![],
        reward: None,
    };
    Event::Token { id, trace: Box::new(trace) }
}

#[test]
fn a_reply_goes_from_prompt_to_writing_to_ready() {
    let mut state = EngineState { model: Some(Box::default()), ..EngineState::default() };
    assert_eq!(state.words(), (Mood::Idle, "Ready".to_owned()));
    state.reply = Some(ReplyProgress::asked(7));
    state.apply(&Event::Prefill { id: 7, done: 512, total: 2048 });
    assert_eq!(state.words().1, "Reading the prompt, 512 of 2,048 tokens");
    state.apply(&token(7));
    assert_eq!(state.words(), (Mood::Busy, "Writing, 1 token".to_owned()));
    let timings = ReplyTimings { reply_tokens: 11, decode_secs: 2.0, ..Default::default() };
    let done = |id| Event::ReplyDone {
        id,
        reason: StopReason::EndOfText,
        timings,
        recipe: Box::default(),
    };
    state.apply(&done(6));
    assert!(state.reply.is_some(), "an older reply's end is not this one's");
    state.apply(&done(7));
    assert_eq!(state.words().0, Mood::Idle);
    assert_eq!(state.last.as_ref().and_then(LastReply::tokens_per_sec), Some(5.0));
}

#[test]
fn the_aligned_model_and_the_distance_are_those_of_the_model_and_the_reply() {
    let mut state = EngineState { model: Some(Box::default()), ..EngineState::default() };
    let path = PathBuf::from("aligned");
    state.apply(&Event::AlignedProgress { path, bytes_done: 1, bytes_total: 4 });
    assert!(matches!(&state.aligned, Some(AlignedState::Loading(_, share)) if *share == 0.25));
    state.apply(&Event::AlignedLoaded(Box::default()));
    state.reply = Some(ReplyProgress::asked(7));
    let started = Event::ReplyStarted { id: 7, prompt_tokens: 3, reused_tokens: 0 };
    state.apply(&started);
    for (id, nats) in [(7, 0.5), (6, 9.0), (7, 1.5)] {
        state.apply(&Event::Divergence { id, nats });
    }
    assert_eq!(state.divergence.mean(), Some(1.0));
    state.apply(&started);
    assert_eq!(state.divergence.mean(), None, "another reply");
    state.apply(&Event::Loaded(Box::default()));
    assert_eq!(state.aligned, None, "another model has no pair yet");
}

#[test]
fn a_failed_load_leaves_the_model_that_was_there() {
    let mut state = EngineState { model: Some(Box::default()), ..EngineState::default() };
    let path = PathBuf::from("m.gguf");
    state.apply(&Event::LoadProgress {
        path: path.clone(),
        bytes_done: 5,
        bytes_total: 10,
        bytes_per_sec: 1.0,
    });
    assert_eq!(state.loading.as_ref().map(Loading::fraction), Some(0.5));
    state.apply(&Event::LoadFailed { path, message: "broken".into(), cancelled: false });
    assert!(state.loading.is_none() && state.model.is_some());
}
