//! The only place that changes things: each command of the person goes to the file of its verb.

mod actions;
mod conversation;
mod guidance;
pub(super) mod judge;
mod making;
mod model;
mod plan;
mod reply;
mod reward;
mod stores;
mod vectors;
mod view;

use super::state::Window;
use crate::engine::Request;
use crate::ui::Command;

pub use model::load_options;
pub use view::{theme_preference, tint};

impl Window {
    /// Does what the person asked for.
    pub fn run(&mut self, command: Command) {
        match command {
            Command::Act(action) => self.act(action),
            Command::Send => self.send(),
            Command::SetDraft(text) => self.set_draft(text),
            Command::UsePrompt(text) => {
                self.set_draft(text);
                self.panels.transcript.draft_replaced();
                self.panels.transcript.focus_composer();
            }
            Command::Stop => self.stop(),
            Command::Regenerate(node) => self.regenerate(node),
            Command::ReplyUnsteered(node) => self.reply_unsteered(node),
            Command::Continue(node) => self.continue_reply(node),
            Command::Edit { node, text, answer } => self.edit(node, text, answer),
            Command::BranchToNewConversation(node) => self.branch_out(node),
            Command::BranchAtToken { node, position, token } => {
                self.branch_at_token(node, position, token);
            }
            Command::ShowVersion(node) => self.show_version(node),
            Command::CopyText(text) => self.context.copy_text(text),
            Command::NewConversation => self.new_conversation(),
            Command::OpenConversation(id) => self.open_conversation(id),
            Command::RenameConversation { id, title } => self.rename(id, title),
            Command::TrashConversation(id) => self.trash(id),
            Command::RestoreConversation(id) => self.restore(id),
            Command::EmptyTrash => self.empty_trash(),
            Command::MoreConversations => self.read_more(),
            Command::SearchConversations(query) => self.search(query),
            Command::OpenModel(path) => {
                let options = load_options(&self.settings);
                self.load(path, options);
            }
            Command::LoadModel { path, options } => self.load(path, options),
            Command::InspectModel(path) => {
                self.engine.inspected = None;
                self.tell(Request::Inspect { path });
            }
            Command::RescanModels => self.scan(),
            Command::ChooseModelFile => self.act(crate::ui::Action::OpenModelFile),
            Command::ChooseModelFolder => self.act(crate::ui::Action::OpenModelFolder),
            Command::UnloadModel => self.tell(Request::Unload),
            Command::AddModelFolder => self.question(super::jobs::Question::FolderOfModels),
            Command::RemoveModelFolder(folder) => {
                self.change_settings(|settings| settings.model_folders.retain(|f| *f != folder));
                self.scan();
            }
            Command::SetSystemPrompt(text) => self.set_system_prompt(text),
            Command::SetDefaultSystemPrompt(text) => {
                self.change_settings(|settings| settings.system_prompt = text);
            }
            Command::SetPlan(plan) => self.set_plan(plan),
            Command::PreviewPlan(plan) => self.preview_plan(plan),
            Command::ChooseVector => self.question(super::jobs::Question::VectorFile),
            Command::AddVector(path) => self.add_vector(&path),
            Command::PutVector(vector) => self.put_vector(vector),
            Command::RemoveVector(path) => self.remove_vector(&path),
            Command::ChooseAligned => self.question(super::jobs::Question::AlignedModel),
            Command::SetAligned(path) => self.set_aligned(path),
            Command::RemoveAligned => self.remove_aligned(),
            Command::SetMeasures(measures) => {
                self.measures = measures;
                self.tell(Request::Measure(measures));
            }
            Command::ChooseReward => self.question(super::jobs::Question::RewardFile),
            Command::AddReward(path) => self.add_reward(&path),
            Command::SetReward(path) => self.set_reward(path),
            Command::ChooseJudge => self.question(super::jobs::Question::JudgeFolder),
            Command::SetJudge(path) => self.set_judge(path.as_deref()),
            Command::GoToToken { node, token } => self.go_to_token(node, token),
            Command::ChooseForMaking(field) => {
                self.question(super::jobs::Question::ForMaking(field));
            }
            Command::Make(making) => self.make(*making, false),
            Command::EstimateMaking(making) => self.make(*making, true),
            Command::CancelMaking => self.cancel_making(),
            Command::ChooseGuide(part) => self.question(super::jobs::Question::Guide(part)),
            Command::AddGuide { part, path } => self.add_guide(part, &path),
            Command::ContinueFromCandidate(node) => self.continue_from_candidate(node),
            Command::ExportTree(extension) => {
                let name = format!("candidates.{extension}");
                self.question(super::jobs::Question::SaveTree(name));
            }
            Command::HideTree => self.panels.hides_tree = true,
            Command::ShowTree => self.panels.hides_tree = false,
            Command::ChooseDocument => self.question(super::jobs::Question::Document),
            Command::AddDocuments(files) => self.add_documents(files),
            Command::RemoveDocument { folder, file } => {
                self.tell(Request::RemoveFromStore { folder, file });
            }
            Command::OpenDocument { file, page } => self.open_document(&file, page),
            Command::ShowPassage(passage) => self.show_passage(*passage),
            Command::CancelBuilds => self.cancel_builds(),
            Command::PauseBuilds(is_paused) => {
                self.builds_are_paused = is_paused;
                self.tell(Request::PauseBuilds(is_paused));
            }
            Command::GoOnBuilding(folder) => self.build_store(folder, Vec::new()),
            Command::RevealStore(folder) => self.reveal_store(&folder),
            Command::RenameStore { folder, name } => {
                self.tell(Request::RenameStore { folder, name });
            }
            Command::TrashStore(folder) => self.trash_store(&folder),
            Command::RestoreStore { from, to, setting } => {
                self.restore_store(&from, &to, setting);
            }
            Command::ApplyPreset(name) => self.apply_preset(&name),
            Command::ApplyModelDefaults => self.apply_model_defaults(),
            Command::SavePreset(name) => self.save_preset(name),
            Command::RenamePreset { from, to } => self.rename_preset(from, to),
            Command::DeletePreset(name) => self.delete_preset(name),
            Command::SetTheme(theme) => self.set_theme(theme),
            Command::SetTokenView(shown) => self.set_token_view(shown),
            Command::SetTint(tint) => self.set_tint(tint),
            Command::SetZoom(zoom) => self.set_zoom(zoom),
            Command::DismissToast(id) => self.panels.toasts.dismiss(id),
        }
    }

    /// Hands a request to the engine; says so when it cannot take it.
    pub(super) fn tell(&mut self, request: Request) {
        if let Err(problem) = self.handle.send(request) {
            self.panels.toasts.error(problem.to_string());
        }
    }

    /// Asks the person with a dialog of the system.
    fn question(&mut self, question: super::jobs::Question) {
        if let Err(error) = self.jobs.ask(question) {
            self.panels.toasts.error(format!("The dialog cannot be opened: {error}"));
        }
    }
}
