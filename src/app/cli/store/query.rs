//! `tiller store query`: the neighbours of a text's last hidden state, and what they say.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::json;

use crate::app::cli::output::put_line;
use crate::app::cli::{LoadArgs, Usage};
use crate::decode::reply::PREFILL_CHUNK;
use crate::decode::{References, StoreInPlay};
use crate::learn::preference::encoding;
use crate::model::load::Checkpoints;
use crate::model::{Loader, Wanted};
use crate::platform::{Problem, interrupt};
use crate::steer::datastore::Datastore;
use crate::steer::{Plan, StoreSetting};

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The store's folder.
    store: PathBuf,
    #[command(flatten)]
    load: LoadArgs,
    /// The text that comes before.
    #[arg(long)]
    text: String,
    /// Take the text as what a person says, through the chat template.
    #[arg(long)]
    chat: bool,
    /// Neighbours to ask for; without it what was found for the store, else 32.
    #[arg(long)]
    neighbours: Option<usize>,
    /// Of the softmax; without it what was found for the store, else what was measured on it.
    #[arg(long)]
    temperature: Option<f32>,
    /// Slices of the vector that are searched each by itself.
    #[arg(long, default_value_t = 1)]
    heads: usize,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &QueryArgs) -> Result<()> {
    let setting = StoreSetting {
        neighbours: args.neighbours,
        temperature: args.temperature,
        heads: args.heads,
        gate: false,
        ..StoreSetting::new(&args.store, 1.0)
    };
    let plan = Plan { stores: vec![setting.clone()], ..Plan::default() };
    plan.check_stores().map_err(|problem| anyhow!(Usage(problem.to_string())))?;
    let mut store = Datastore::open(&args.store)?;
    interrupt::watch();
    let path = args.load.path()?;
    let mut model =
        Checkpoints.load(&path, &args.load.options(), &mut |_, _| !interrupt::pressed())?;
    store.manifest.facts.check(&model.facts).map_err(|problem| problem.at(&args.store))?;
    store.put_on(&model.runner.device());
    let store = Arc::new(store);
    let in_play = StoreInPlay { store: Arc::clone(&store), setting };
    References::new(vec![in_play.clone()])?;

    let ids = match args.chat {
        true => encoding::encode(&model.language, &args.text, &[])?.prompt,
        false => model.language.encode_plain(&args.text)?,
    };
    if ids.is_empty() {
        return Err(anyhow!(Usage("there is no text to ask about; give some".into())));
    }
    let mut hidden = Vec::new();
    for chunk in ids.chunks(PREFILL_CHUNK) {
        hidden = model.runner.prefill(chunk, Wanted::Last)?.hidden;
    }
    let asked = References::ask(&in_play, &hidden);
    let (_, reference, found) = asked.ok_or_else(|| {
        Problem::new("the store holds nothing yet").at(&args.store).hint("build it first")
    })?;
    let gate = store
        .manifest
        .calibration
        .map_or(1.0, |_| store.manifest.gate(store.nearest_whole(&hidden, &found)));
    let token = |id: u32| model.language.vocabulary.token_text(id);
    let mut tokens = reference.tokens.clone();
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let neighbours: Vec<_> = reference
        .shares
        .iter()
        .map(|(entry, share)| {
            let passage = store.passage(*entry);
            let distance = found.iter().flatten().find(|n| n.entry == *entry).map(|n| n.distance);
            json!({
                "entry": entry,
                "distance": distance,
                "share": share,
                "value": store.value(*entry),
                "token": token(store.value(*entry)),
                "file": passage.as_ref().map(|p| p.path.display().to_string()),
                "place": passage.as_ref().and_then(|p| p.place).map(|place| place.to_string()),
                "text": passage.map(|p| p.text),
            })
        })
        .collect();
    if args.json {
        let said: Vec<_> = tokens
            .iter()
            .map(|(id, p)| json!({ "id": id, "token": token(*id), "probability": p }))
            .collect();
        let all = json!({ "gate": gate, "neighbours": neighbours, "reference": said });
        return put_line(&all.to_string());
    }
    put_line(&format!("gate {gate:.3}"))?;
    for (id, probability) in tokens.iter().take(10) {
        put_line(&format!("{probability:.4}  {:?}", token(*id)))?;
    }
    put_line("")?;
    for row in neighbours.iter().take(10) {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| row[name].as_f64().unwrap_or_default();
        put_line(&format!(
            "{:10.2}  {:.4}  {:?}  {}, {}",
            number("distance"),
            number("share"),
            text("token"),
            text("file"),
            text("place")
        ))?;
    }
    Ok(())
}
