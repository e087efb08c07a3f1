//! What the room of conversations and the rooms above it must agree on.

use std::process::Command;

use tiller::session::presets;
use tiller::steer::Plan;

#[test]
fn every_built_in_preset_is_a_plan_of_its_own() {
    let plans: Vec<(String, Plan)> = presets::built_in()
        .into_iter()
        .map(|preset| {
            let plan = toml::from_str(&preset.plan);
            (preset.name.clone(), plan.unwrap_or_else(|error| panic!("{}: {error}", preset.name)))
        })
        .collect();
    for (number, (name, plan)) in plans.iter().enumerate() {
        assert!(plans[..number].iter().all(|(_, other)| other != plan), "{name} is another's");
        assert_eq!(plan.sampling.temperature == 0.0, name == "Greedy");
    }
    let plan = |wanted: &str| &plans.iter().find(|(name, _)| name == wanted).unwrap().1;
    assert_eq!(*plan("Balanced"), Plan::default(), "the default, under a name");
    let temperature = |name: &str| plan(name).sampling.temperature;
    assert!(temperature("Precise") < temperature("Balanced"));
    assert!(temperature("Balanced") < temperature("Creative"));
}

#[test]
fn a_named_folder_is_where_everything_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (named, other) = (folder.path().join("named"), folder.path().join("other"));
    let places = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tiller"))
            .args(arguments)
            .env("TILLER_DATA_DIR", &other)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let is_place = |line: &&str| line.contains("tiller.db") || line.contains("settings.toml");
        text.lines().filter(is_place).map(str::to_owned).collect::<Vec<_>>()
    };
    let asked = places(&["doctor", "--data-dir", named.to_str().unwrap()]);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|line| line.contains(named.to_str().unwrap())), "{asked:?}");
    let by_variable = places(&["doctor"]);
    assert!(by_variable.iter().all(|line| line.contains(other.to_str().unwrap())));
}
