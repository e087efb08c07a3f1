//! Which search's candidates are on screen: those of the newest reply while it is shown, else what
//! was kept with the version of a reply that is.

use super::state::Window;
use crate::decode::search::Boundary;
use crate::engine::{Outcome, SearchTree};
use crate::session::{NodeId, TokenTrace};

/// A tree read from where it was kept.
pub(super) struct KeptTree {
    node: NodeId,
    /// `None` for a reply without a search.
    tree: Option<SearchTree>,
}

/// What a branch from a candidate begins with.
pub(super) struct TreeOrigin {
    /// The message that is answered.
    pub parent: Option<NodeId>,
    /// What of the reply was given, as text and as tokens where those are known.
    pub content: String,
    pub tokens: Vec<TokenTrace>,
}

impl Window {
    /// Reads the tree that was kept with the reply on screen, once.
    pub(super) fn look_at_tree(&mut self) {
        let leaf = self.chat.tree.active_leaf();
        if self.kept_tree.as_ref().map(|kept| kept.node) == leaf {
            return;
        }
        let Some(node) = leaf.and_then(|leaf| self.chat.tree.node(leaf)) else {
            self.kept_tree = None;
            return;
        };
        // Few replies have one, and the text is quick to look through.
        let outcome = node.outcome.as_deref().filter(|outcome| outcome.contains("\"tree\""));
        let outcome = outcome.and_then(|text| serde_json::from_str::<Outcome>(text).ok());
        self.kept_tree = Some(KeptTree { node: node.id, tree: outcome.and_then(|o| o.tree) });
    }

    /// The rankings there are on screen.
    pub(super) fn boundaries(&self) -> &[Boundary] {
        match (&self.engine.search, &self.kept_tree) {
            (Some((_, boundaries)), _) if self.shows_newest() => boundaries,
            (_, Some(KeptTree { tree: Some(tree), .. })) => &tree.boundaries,
            _ => &[],
        }
    }

    /// Where the reply whose candidates are on screen begins.
    pub(super) fn tree_origin(&self) -> Option<TreeOrigin> {
        if self.shows_newest()
            && let Some(of) = &self.tree_of
        {
            let (content, tokens) = (of.content.clone(), of.tokens.clone());
            return Some(TreeOrigin { parent: of.parent, content, tokens });
        }
        let kept = self.kept_tree.as_ref()?;
        let node = self.chat.tree.node(kept.node)?;
        let content = kept.tree.as_ref()?.given.clone();
        Some(TreeOrigin { parent: node.parent, content, tokens: Vec::new() })
    }

    /// The tree of the reply that just ended, to be kept with it.
    pub(super) fn tree_to_keep(&self, id: u64, node: NodeId) -> Option<SearchTree> {
        let (_, boundaries) = self.engine.search.as_ref().filter(|(held, _)| *held == id)?;
        let of = self.tree_of.as_ref().filter(|of| of.node == node)?;
        Some(SearchTree { given: of.content.clone(), boundaries: boundaries.clone() })
    }

    fn shows_newest(&self) -> bool {
        let leaf = self.chat.tree.active_leaf();
        let is_here =
            |of: &super::state::TreeOf| of.conversation == self.chat.id && Some(of.node) == leaf;
        self.engine.search.is_some() && self.tree_of.as_ref().is_some_and(is_here)
    }
}
