//! Where each store lies, by its own rules: variables first, then the place below the home folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What decides where stores lie; taken as a value so that tests need not change the process.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub home: Option<PathBuf>,
    /// Environment variables that are set and not empty.
    pub variables: BTreeMap<String, PathBuf>,
    /// The running program's file.
    pub executable: Option<PathBuf>,
    /// The source tree this program was built from, where it may still be.
    pub source_tree: Option<PathBuf>,
    /// Where the models lie that the person trained with Tiller.
    pub own_models: Option<PathBuf>,
    /// Folders of services, which belong to no person.
    pub system_folders: Vec<PathBuf>,
}

const VARIABLES: [&str; 7] = [
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "LLAMA_CACHE",
    "OLLAMA_MODELS",
    "TILLER_STARTER",
    "XDG_CACHE_HOME",
];

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let variables = VARIABLES
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, PathBuf::from(value)))
            .collect();
        Self {
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf()),
            variables,
            executable: std::env::current_exe().ok(),
            source_tree: Some(PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
            own_models: crate::platform::Folders::find(None).ok().map(|own| own.models()),
            system_folders: vec![
                "/usr/share/ollama/.ollama/models".into(),
                "/var/lib/ollama/.ollama/models".into(),
            ],
        }
    }

    fn variable(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).cloned()
    }

    fn below_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    fn caches(&self) -> Option<PathBuf> {
        self.variable("XDG_CACHE_HOME").or_else(|| self.below_home(".cache"))
    }

    /// The one folder `huggingface_hub` would use.
    pub fn hugging_face_cache(&self) -> Option<PathBuf> {
        self.variable("HF_HUB_CACHE")
            .or_else(|| self.variable("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(self.variable("HF_HOME")?.join("hub")))
            .or_else(|| Some(self.caches()?.join("huggingface/hub")))
    }

    /// LM Studio's folder and the one older versions used.
    pub fn lm_studio_folders(&self) -> Vec<PathBuf> {
        [".lmstudio/models", ".cache/lm-studio/models"]
            .iter()
            .filter_map(|path| self.below_home(path))
            .collect()
    }

    /// The person's Ollama store, and those of a service.
    pub fn ollama_folders(&self) -> Vec<PathBuf> {
        let own = self.variable("OLLAMA_MODELS").or_else(|| self.below_home(".ollama/models"));
        own.into_iter().chain(self.system_folders.iter().cloned()).collect()
    }

    /// Where llama.cpp keeps what it fetched.
    pub fn llama_cpp_caches(&self) -> Vec<PathBuf> {
        match self.variable("LLAMA_CACHE") {
            Some(folder) => vec![folder],
            None => [
                self.caches().map(|caches| caches.join("llama.cpp")),
                self.below_home("Library/Caches/llama.cpp"),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}

/// The starter model's folder: where `TILLER_STARTER` says, beside or above the program, or in the
/// source tree.
pub fn starter(environment: &Environment) -> Option<PathBuf> {
    if let Some(asked) = environment.variable("TILLER_STARTER") {
        return Some(asked);
    }
    let folder = environment.executable.as_deref().and_then(Path::parent);
    let above = folder.and_then(Path::parent);
    let beside = [
        above.map(|above| above.join("share/tiller/models/starter")),
        folder.map(|folder| folder.join("models/starter")),
        above.map(|above| above.join("Resources/models/starter")),
    ];
    let source = environment.source_tree.iter().map(|tree| tree.join("models/starter"));
    beside.into_iter().flatten().chain(source).find(|folder| folder.join("config.json").is_file())
}
