//! What a reply is dialled with: system prompt, plan, presets.

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::session::Ask;
use crate::steer::Plan;
use crate::ui::sampling::{items, with_preset};

impl Window {
    pub(super) fn set_system_prompt(&mut self, text: String) {
        self.chat.system_prompt = Some(text);
        self.keep_later(|unkept| unkept.system_prompt = true);
    }

    /// Also takes effect in the reply under way, from its next token on.
    pub(super) fn set_plan(&mut self, plan: Plan) {
        let now_secs = self.context.input(|input| input.time);
        self.chat.history.note(&self.chat.plan, now_secs);
        self.dial(plan);
    }

    /// Back to the plan before the last change.
    pub(super) fn undo_dials(&mut self) {
        if let Some(plan) = self.chat.history.undo(&self.chat.plan) {
            self.dial(plan);
        }
    }

    pub(super) fn redo_dials(&mut self) {
        if let Some(plan) = self.chat.history.redo(&self.chat.plan) {
            self.dial(plan);
        }
    }

    fn dial(&mut self, plan: Plan) {
        self.chat.plan = plan.clone();
        self.keep_later(|unkept| unkept.plan = true);
        if self.reply.as_ref().is_some_and(|live| live.conversation == self.chat.id) {
            self.tell(Request::SetPlan(plan));
        }
    }

    /// The plan a new conversation starts with.
    pub(in crate::app::window) fn default_plan(&self) -> Plan {
        let preset = self.presets.iter().find(|p| p.name == self.settings.default_preset);
        preset.map(|preset| preset.plan.clone()).unwrap_or_default()
    }

    pub(super) fn apply_preset(&mut self, name: &str) {
        let Some(preset) = self.presets.iter().find(|preset| preset.name == name) else { return };
        self.set_plan(with_preset(&self.chat.plan, &preset.plan));
    }

    pub(super) fn apply_model_defaults(&mut self) {
        let recommended = self.engine.model.as_ref().and_then(|model| model.recommended.as_ref());
        if let Some(defaults) = recommended {
            self.set_plan(items::with_recommended(&self.chat.plan, defaults));
        }
    }

    pub(super) fn save_preset(&mut self, name: String) {
        if self.is_built_in(&name) {
            self.panels.toasts.warn("A preset of the program has this name; choose another");
            return;
        }
        match toml::to_string(&Plan { seed: 0, ..self.chat.plan.clone() }) {
            Ok(plan) => self.ask(Ask::SavePreset { name, plan }),
            Err(error) => self.panels.toasts.error(format!("The preset cannot be saved: {error}")),
        }
    }

    pub(super) fn rename_preset(&mut self, from: String, to: String) {
        if self.is_built_in(&to) {
            self.panels.toasts.warn("A preset of the program has this name; choose another");
            return;
        }
        self.ask(Ask::RenamePreset { from, to });
    }

    pub(super) fn delete_preset(&mut self, name: String) {
        self.ask(Ask::DeletePreset(name));
    }

    fn is_built_in(&self, name: &str) -> bool {
        self.presets.iter().any(|preset| preset.is_built_in && preset.name == name)
    }
}
