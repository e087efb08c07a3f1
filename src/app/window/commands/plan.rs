//! What a reply is dialled with: system prompt, plan, presets.

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::session::Ask;
use crate::steer::{KvPolicy, Plan};
use crate::ui::sampling::{items, with_preset};

impl Window {
    pub(super) fn set_system_prompt(&mut self, text: String) {
        self.chat.system_prompt = Some(text);
        self.keep_later(|unkept| unkept.system_prompt = true);
    }

    /// Also takes effect in the reply under way, from its next token on.
    pub(super) fn set_plan(&mut self, plan: Plan) {
        self.note_plan(&plan);
        self.dial(plan);
    }

    /// The same while a vector is being dragged: what was read is kept until the hand lets go, or
    /// every step of a drag would have it read again.
    pub(super) fn preview_plan(&mut self, plan: Plan) {
        self.note_plan(&plan);
        let reply = self.engine.reply.as_ref();
        let positions = reply.map_or(0, |reply| reply.prompt_tokens + reply.tokens);
        let kv_policy = match plan.kv_policy_for(positions) {
            KvPolicy::Recompute => Some(KvPolicy::Keep),
            _ => plan.kv_policy,
        };
        self.dial_as(plan.clone(), Plan { kv_policy, ..plan });
    }

    fn note_plan(&mut self, plan: &Plan) {
        if *plan != self.chat.plan {
            let now_secs = self.context.input(|input| input.time);
            self.chat.history.note(&self.chat.plan, now_secs);
        }
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
        self.dial_as(plan.clone(), plan);
    }

    /// Dials a plan; a reply under way is told another form of it.
    fn dial_as(&mut self, plan: Plan, sent: Plan) {
        self.chat.plan = plan;
        self.keep_later(|unkept| unkept.plan = true);
        if self.reply.as_ref().is_some_and(|live| live.conversation == self.chat.id) {
            self.tell(Request::SetPlan(sent));
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
