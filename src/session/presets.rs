//! Named presets: the ones that come with the program, beside the person's own. The plan is TOML
//! text here; what it means is known further up.

use serde::{Deserialize, Serialize};

/// A plan under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    pub name: String,
    /// The plan as TOML; what it leaves out has the plan's defaults.
    pub plan: String,
    /// Comes with the program: neither renamed nor deleted.
    pub built_in: bool,
}

/// Name and plan of the presets that come with the program.
const BUILT_IN: [(&str, &str); 4] = [
    ("Precise", "[sampling]\ntemperature = 0.3\ntop-p = 0.9\n"),
    ("Balanced", "[sampling]\ntemperature = 0.7\ntop-p = 0.95\n"),
    ("Creative", "[sampling]\ntemperature = 1.0\ntop-p = 1.0\nmin-p = 0.05\n"),
    ("Greedy", "[sampling]\ntemperature = 0.0\n"),
];

/// The presets that come with the program.
pub fn built_in() -> Vec<Preset> {
    let preset = |(name, plan): (&str, &str)| Preset {
        name: name.into(),
        plan: plan.into(),
        built_in: true,
    };
    BUILT_IN.into_iter().map(preset).collect()
}

/// Whether a preset of this name comes with the program.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}
