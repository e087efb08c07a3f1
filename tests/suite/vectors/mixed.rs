//! Two models mixed by their logits, and the distance of what is steered from its base, through the
//! engine: the ends, off, live changes, replays, what is refused.

use std::path::{Path, PathBuf};

use tiller::engine::{EngineHandle, Event, Opening, ReplyRequest, Request};
use tiller::model::checkpoint::Checkpoint;
use tiller::model::vector::merge::{Share, merge};
use tiller::steer::{MixtureSetting, Plan};

use super::talk::{
    Home, Made, finish, home, next, plan, replay, reply, started, started_on, turns,
};

/// The model with the first vector merged in: what the vector is the difference to.
pub fn aligned(home: &Home) -> PathBuf {
    let base = Checkpoint::open(&home.model).unwrap();
    let share = Share::open(&home.vectors[0], 1.0, &base, false).unwrap();
    let out = home.model.with_file_name("aligned");
    merge(&base, &[share], &out, &mut |_, _| true).unwrap();
    out
}

fn mixed(aligned: &Path, strength: f32) -> Plan {
    let mixture = Some(MixtureSetting { aligned: aligned.into(), strength });
    Plan { mixture, ..plan(&[], None) }
}

fn ids(made: &Made) -> Vec<u32> {
    made.tokens.iter().map(|token| token.id).collect()
}

/// Follows a reply and gathers what was measured.
fn measured(engine: &EngineHandle, plan: Plan) -> (Vec<f64>, Vec<u32>) {
    let request = ReplyRequest { id: 1, prompt: turns(), opening: Opening::None, plan };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    let (mut nats, mut ids) = (Vec::new(), Vec::new());
    loop {
        match next(engine) {
            Event::Divergence { nats: one, .. } => nats.push(one),
            Event::Token { trace, .. } => ids.push(trace.id),
            Event::ReplyDone { .. } => return (nats, ids),
            Event::ReplyFailed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
}

/// Invariant 8: the ends are the two models; off loads nothing and is the plain model to the bit.
#[test]
fn the_ends_of_the_mixture_are_the_two_models() {
    let home = home();
    let aligned = aligned(&home);
    let plain = reply(&started(&home), plan(&[], None)).unwrap();
    let engine = started(&home);
    let off = reply(&engine, mixed(Path::new("/nowhere/at/all"), 0.0)).unwrap();
    assert_eq!(off.tokens, plain.tokens, "bit for bit, and nothing is opened");
    assert!(off.recipe.aligned.is_empty());

    let alone = reply(&started_on(&aligned), plan(&[], None)).unwrap();
    let by_logits = reply(&started(&home), mixed(&aligned, 1.0)).unwrap();
    assert_eq!(ids(&by_logits), ids(&alone), "the aligned model alone");
    assert_ne!(ids(&by_logits), ids(&plain));
    assert_eq!(by_logits.recipe.aligned.len(), 1);
    let middle = reply(&started(&home), mixed(&aligned, 0.5)).unwrap();
    assert_ne!(ids(&middle), ids(&plain));
    assert_ne!(ids(&middle), ids(&by_logits));
}

#[test]
fn a_mixture_that_changed_on_the_way_is_made_again_to_the_last_bit() {
    let home = home();
    let aligned = aligned(&home);
    let engine = started(&home);
    // An earlier turn leaves something in the aligned model's cache.
    reply(&engine, mixed(&aligned, 0.3)).unwrap();
    let request =
        ReplyRequest { id: 4, prompt: turns(), opening: Opening::None, plan: mixed(&aligned, 0.8) };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    let (off, on) = (mixed(&aligned, 0.0), mixed(&aligned, -0.5));
    let made = finish(&engine, &[(3, &off), (20, &on)]).unwrap();
    assert!(!made.recipe.plan_changes.is_empty(), "a change came in time");
    for engine in [&engine, &started(&home)] {
        let again = replay(engine, &made.recipe).unwrap();
        assert_eq!(again.tokens, made.tokens);
        assert_eq!(again.recipe, made.recipe);
    }
    // The recipe's aligned model is another one now.
    let config = std::fs::read_to_string(aligned.join("tokenizer_config.json")).unwrap();
    std::fs::write(aligned.join("tokenizer_config.json"), config).unwrap();
    let mut other = made.recipe.clone();
    other.aligned[0].fingerprint = "0".repeat(32);
    let message = replay(&started(&home), &other).unwrap_err();
    assert!(message.contains("was mixed with") && message.contains("aligned"), "{message}");
}

#[test]
fn what_cannot_be_mixed_is_refused_and_harms_nothing() {
    let home = home();
    let aligned = aligned(&home);
    let plain = reply(&started(&home), plan(&[], None)).unwrap();
    let engine = started(&home);
    let absent = home.model.with_file_name("absent");
    let message = reply(&engine, mixed(&absent, 0.5)).unwrap_err();
    assert!(message.contains("absent"), "{message}");
    // Another order of the same characters: sizes say nothing about it.
    let path = aligned.join("tokenizer.json");
    let tokenizer = std::fs::read_to_string(&path).unwrap();
    let swapped = tokenizer
        .replace("\"a\":68", "\"a\":-1")
        .replace("\"b\":69", "\"b\":68")
        .replace("\"a\":-1", "\"a\":69");
    assert_ne!(swapped, tokenizer);
    std::fs::write(&path, swapped).unwrap();
    let message = reply(&engine, mixed(&aligned, 0.5)).unwrap_err();
    assert!(message.contains("cannot be mixed") && message.contains("token 68"), "{message}");
    engine.send(Request::LoadAligned { path: aligned.clone() }).unwrap();
    let told = loop {
        match next(&engine) {
            Event::AlignedFailed { message, .. } => break message,
            Event::AlignedLoaded(facts) => panic!("{facts:?}"),
            _ => {}
        }
    };
    assert_eq!(told, message);
    // Asked for while a reply is made, it is refused and the reply goes on as it was.
    let request =
        ReplyRequest { id: 1, prompt: turns(), opening: Opening::None, plan: plan(&[], None) };
    engine.send(Request::Reply(Box::new(request))).unwrap();
    let made = finish(&engine, &[(3, &mixed(&aligned, 0.5))]).unwrap();
    assert_eq!(ids(&made), ids(&plain));
}

#[test]
fn the_distance_is_measured_on_demand_and_changes_nothing() {
    let home = home();
    let aligned = aligned(&home);
    let steered = || plan(&[(&home.vectors[0], 1.0)], None);
    let unmeasured = measured(&started(&home), steered());
    assert!(unmeasured.0.is_empty());
    let engine = started(&home);
    engine.send(Request::Measure(true)).unwrap();
    let (nats, ids) = measured(&engine, steered());
    assert_eq!(ids, unmeasured.1, "the reply is the same");
    assert_eq!(nats.len(), ids.len());
    assert!(nats.iter().all(|nats| nats.is_finite()) && nats.iter().any(|nats| *nats > 1e-3));
    let less = measured(&engine, plan(&[(&home.vectors[0], 0.1)], None)).0;
    let mean = |nats: &[f64]| nats.iter().sum::<f64>() / nats.len() as f64;
    assert!(mean(&less) < mean(&nats), "{} and {}", mean(&less), mean(&nats));
    // By its logits the aligned model is as far away as by its weights, which were rounded.
    let by_logits = measured(&engine, mixed(&aligned, 1.0)).0;
    let (one, other) = (by_logits[0], nats[0]);
    assert!((one - other).abs() < 0.1 * other, "{one} and {other}");
    assert!(measured(&engine, plan(&[], None)).0.is_empty(), "nothing steers, nothing is measured");
    engine.send(Request::Measure(false)).unwrap();
    assert!(measured(&engine, steered()).0.is_empty());
}
