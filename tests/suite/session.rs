//! What the room of conversations and the rooms above it must agree on.

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
