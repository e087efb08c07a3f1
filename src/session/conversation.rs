//! A conversation in memory: the tree of its messages, which of their versions are shown, and the
//! pure functions that read and change it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::tree::{ConversationSummary, Node, NodeId, NodeState};
use crate::platform::Problem;

/// Everything that is remembered of one conversation. The nodes' tokens are left out until asked
/// for (`Ask::Tokens`).
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    pub summary: ConversationSummary,
    pub tree: ConversationTree,
    /// The system prompt of this conversation; `None` takes the one in the settings.
    pub system_prompt: Option<String>,
    /// The plan last dialled here, as TOML; `None` takes the default preset.
    pub plan: Option<String>,
    /// What stands in the composer and has not been sent.
    pub draft: String,
}

/// The messages of one conversation and the path through them that is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConversationTree {
    nodes: BTreeMap<NodeId, Node>,
    /// Children in the order they were made; under `None` stand the first messages.
    children: HashMap<Option<NodeId>, Vec<NodeId>>,
    /// The child last shown below each node, so that stepping back to a version shows what
    /// followed it.
    chosen: HashMap<Option<NodeId>, NodeId>,
    active_leaf: Option<NodeId>,
}

/// What `ConversationTree::branch_out` made.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    pub tree: ConversationTree,
    /// Every copied message: the original's id and the copy's, first message first.
    pub copies: Vec<(NodeId, NodeId)>,
}

impl ConversationTree {
    /// Builds a tree from its messages in any order, the child chosen below each, and the last
    /// message shown. Fails on a parent that is missing, comes round to itself, or an id given
    /// twice; a choice that points nowhere is dropped.
    pub fn from_nodes(
        nodes: Vec<Node>,
        chosen: Vec<(Option<NodeId>, NodeId)>,
        active_leaf: Option<NodeId>,
    ) -> Result<Self, Problem> {
        let mut tree = Self::default();
        let count = nodes.len();
        tree.nodes = nodes.into_iter().map(|node| (node.id, node)).collect();
        if tree.nodes.len() != count {
            return Err(Problem::new("the conversation holds two messages with one id"));
        }
        for node in tree.nodes.values() {
            if node.parent.is_some_and(|parent| !tree.nodes.contains_key(&parent)) {
                return Err(Problem::new("a message answers one that is not there"));
            }
            tree.children.entry(node.parent).or_default().push(node.id);
        }
        let mut reached = 0;
        let mut open: Vec<NodeId> = tree.children(None).to_vec();
        while let Some(id) = open.pop() {
            reached += 1;
            open.extend_from_slice(tree.children(Some(id)));
        }
        if reached != count {
            return Err(Problem::new(
                "the messages of the conversation answer each other in a ring",
            ));
        }
        for (parent, child) in chosen {
            if tree.nodes.get(&child).is_some_and(|node| node.parent == parent) {
                tree.chosen.insert(parent, child);
            }
        }
        tree.active_leaf = match active_leaf {
            Some(leaf) if tree.nodes.contains_key(&leaf) => Some(leaf),
            _ => tree.remembered_leaf(None),
        };
        Ok(tree)
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All messages, oldest first.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// For content, state, tokens, recipe and outcome; id and parent stay as they are.
    pub fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id)
    }

    /// The last message of the path that is shown.
    pub fn active_leaf(&self) -> Option<NodeId> {
        self.active_leaf
    }

    /// The child chosen below each node that has one, for keeping.
    pub fn chosen(&self) -> impl Iterator<Item = (Option<NodeId>, NodeId)> + '_ {
        self.chosen.iter().map(|(&parent, &child)| (parent, child))
    }

    /// The ids from the first message down to this one; empty when there is no such message.
    pub fn path_to(&self, id: NodeId) -> Vec<NodeId> {
        let mut path = Vec::new();
        let mut next = self.nodes.get(&id);
        while let Some(node) = next {
            path.push(node.id);
            next = node.parent.and_then(|parent| self.nodes.get(&parent));
        }
        path.reverse();
        path
    }

    /// The messages that are shown, first one first.
    pub fn active_path(&self) -> Vec<&Node> {
        let path = self.active_leaf.map(|leaf| self.path_to(leaf)).unwrap_or_default();
        path.iter().filter_map(|id| self.nodes.get(id)).collect()
    }

    /// What follows a message, oldest first; `None` gives the first messages.
    pub fn children(&self, parent: Option<NodeId>) -> &[NodeId] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// All versions of a message, itself included, oldest first; empty when there is none such.
    pub fn versions(&self, id: NodeId) -> &[NodeId] {
        self.nodes.get(&id).map_or(&[], |node| self.children(node.parent))
    }

    /// Which version a message is, counted from 0, and how many there are.
    pub fn version_of(&self, id: NodeId) -> Option<(usize, usize)> {
        let versions = self.versions(id);
        Some((versions.iter().position(|&version| version == id)?, versions.len()))
    }

    /// The deepest message that was last shown below this one (the newest where none was), or the
    /// message itself.
    pub fn remembered_leaf(&self, below: Option<NodeId>) -> Option<NodeId> {
        let mut leaf = below.filter(|id| self.nodes.contains_key(id));
        if below.is_some() && leaf.is_none() {
            return None;
        }
        loop {
            let newest = self.children(leaf).last().copied();
            match self.chosen.get(&leaf).copied().or(newest) {
                Some(child) => leaf = Some(child),
                None => return leaf,
            }
        }
    }

    /// Adds a message below its parent and shows it.
    pub fn add(&mut self, node: Node) -> Result<(), Problem> {
        if self.nodes.contains_key(&node.id) {
            return Err(Problem::new("there is a message with this id already"));
        }
        if node.parent.is_some_and(|parent| !self.nodes.contains_key(&parent)) {
            return Err(Problem::new("the message to answer is not there any more"));
        }
        let siblings = self.children.entry(node.parent).or_default();
        let place = siblings.partition_point(|&sibling| sibling < node.id);
        siblings.insert(place, node.id);
        let id = node.id;
        self.nodes.insert(id, node);
        self.set_active_leaf(id);
        Ok(())
    }

    /// Shows the path down to this message. False when there is none such.
    pub fn set_active_leaf(&mut self, leaf: NodeId) -> bool {
        if !self.nodes.contains_key(&leaf) {
            return false;
        }
        let mut parent = None;
        for id in self.path_to(leaf) {
            self.chosen.insert(parent, id);
            parent = Some(id);
        }
        self.active_leaf = Some(leaf);
        true
    }

    /// Shows this version and what was last shown below it; gives the new active leaf.
    pub fn show_version(&mut self, id: NodeId) -> Option<NodeId> {
        let leaf = self.remembered_leaf(Some(id))?;
        self.set_active_leaf(leaf);
        Some(leaf)
    }

    /// Adds a new version of a message with another text and shows it; the old one stays. The new
    /// node is given back for keeping (`Ask::PutNode`).
    pub fn edit(&mut self, id: NodeId, content: String, now_ms: i64) -> Result<Node, Problem> {
        let old = self.nodes.get(&id).ok_or_else(|| Problem::new("there is no such message"))?;
        let edited = Node {
            id: NodeId::fresh(),
            parent: old.parent,
            role: old.role,
            content,
            state: NodeState::Finished,
            created_ms: now_ms,
            tokens: Vec::new(),
            recipe: None,
            outcome: None,
        };
        self.add(edited.clone())?;
        Ok(edited)
    }

    /// A new tree that holds copies, under fresh ids, of the messages down to this one.
    pub fn branch_out(&self, leaf: NodeId) -> Option<Branch> {
        let mut tree = Self::default();
        let mut copies = Vec::new();
        let mut parent = None;
        for id in self.path_to(leaf) {
            let copy = Node { id: NodeId::fresh(), parent, ..self.nodes.get(&id)?.clone() };
            parent = Some(copy.id);
            copies.push((id, copy.id));
            tree.add(copy).ok()?;
        }
        (!copies.is_empty()).then_some(Branch { tree, copies })
    }

    /// The ids of all messages.
    pub fn ids(&self) -> HashSet<NodeId> {
        self.nodes.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Role;

    fn node(id: i64, parent: Option<i64>) -> Node {
        Node {
            id: NodeId(id),
            parent: parent.map(NodeId),
            role: if id % 2 == 1 { Role::User } else { Role::Assistant },
            content: format!("message {id}"),
            state: NodeState::Finished,
            created_ms: id,
            tokens: Vec::new(),
            recipe: None,
            outcome: None,
        }
    }

    /// 1 ─ 2 ─ 3 ─ 4
    ///      └ 5 ─ 6
    fn forked() -> ConversationTree {
        let mut tree = ConversationTree::default();
        for (id, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(3)), (5, Some(2))] {
            tree.add(node(id, parent)).unwrap();
        }
        tree.add(node(6, Some(5))).unwrap();
        tree
    }

    fn ids(ids: &[i64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn switching_a_version_shows_what_followed_it() {
        let mut tree = forked();
        assert_eq!(tree.path_to(NodeId(6)), ids(&[1, 2, 5, 6]));
        assert_eq!(tree.versions(NodeId(5)), ids(&[3, 5]));
        assert_eq!(tree.version_of(NodeId(5)), Some((1, 2)));
        assert_eq!(tree.show_version(NodeId(3)), Some(NodeId(4)));
        let shown: Vec<_> = tree.active_path().iter().map(|node| node.id).collect();
        assert_eq!(shown, ids(&[1, 2, 3, 4]));
        // An inner message can be where the path ends; the way back below it is still known.
        assert!(tree.set_active_leaf(NodeId(2)));
        assert_eq!(tree.active_path().len(), 2);
        assert_eq!(tree.remembered_leaf(Some(NodeId(1))), Some(NodeId(4)));
        assert_eq!(tree.show_version(NodeId(99)), None);
    }

    #[test]
    fn an_edit_is_a_new_version_and_the_old_one_stays() {
        let mut tree = forked();
        let edited = tree.edit(NodeId(1), "said otherwise".into(), 7).unwrap();
        assert_eq!(tree.active_leaf(), Some(edited.id));
        assert_eq!(tree.versions(edited.id).len(), 2);
        assert_eq!(tree.node(NodeId(1)).unwrap().content, "message 1");
        assert_eq!(tree.show_version(NodeId(1)), Some(NodeId(6)));
        assert!(tree.edit(NodeId(99), String::new(), 7).is_err());
    }

    #[test]
    fn branching_out_copies_the_path_and_nothing_else() {
        let tree = forked();
        let branch = tree.branch_out(NodeId(3)).unwrap();
        assert_eq!(branch.tree.len(), 3);
        let texts: Vec<_> =
            branch.tree.active_path().iter().map(|node| node.content.as_str()).collect();
        assert_eq!(texts, ["message 1", "message 2", "message 3"]);
        assert!(branch.tree.ids().is_disjoint(&tree.ids()));
        assert_eq!(branch.copies.iter().map(|pair| pair.0).collect::<Vec<_>>(), ids(&[1, 2, 3]));
        assert!(tree.branch_out(NodeId(99)).is_none());
    }

    #[test]
    fn a_tree_goes_through_its_parts_unchanged() {
        let mut tree = forked();
        tree.show_version(NodeId(3));
        let mut nodes: Vec<_> = tree.nodes().cloned().collect();
        nodes.reverse();
        let again =
            ConversationTree::from_nodes(nodes, tree.chosen().collect(), tree.active_leaf());
        assert_eq!(again.unwrap(), tree);
    }

    #[test]
    fn broken_trees_are_refused() {
        let orphan = ConversationTree::from_nodes(vec![node(2, Some(1))], vec![], None);
        assert!(orphan.is_err());
        let ring = vec![node(1, Some(2)), node(2, Some(1)), node(3, None)];
        assert!(ConversationTree::from_nodes(ring, vec![], None).is_err());
        let twice = vec![node(1, None), node(1, None)];
        assert!(ConversationTree::from_nodes(twice, vec![], None).is_err());
        let mut tree = forked();
        assert!(tree.add(node(9, Some(99))).is_err());
        assert!(tree.add(node(6, Some(5))).is_err());
    }
}
