//! The list of conversations, their titles and the trash.

use super::*;
use crate::session::ask::ListPosition;

fn list(
    desk: &mut Desk,
    after: Option<ListPosition>,
    limit: usize,
) -> (Vec<ConversationId>, Option<ListPosition>) {
    match desk.handle(Ask::List { after, limit }).remove(0) {
        Answer::Listed { conversations, next } => {
            (conversations.into_iter().map(|summary| summary.id).collect(), next)
        }
        other => panic!("{other:?}"),
    }
}

fn title(told: &[Answer]) -> (String, bool) {
    match told {
        [.., Answer::Changed(summary)] => (summary.title.clone(), summary.named_by_person),
        other => panic!("{other:?}"),
    }
}

#[test]
fn thousands_are_listed_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let mut said = desk.store().fill_for_test(3000);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = list(&mut desk, after, 700);
        assert!(page.len() <= 700);
        seen.extend(page);
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    said.reverse();
    assert_eq!(seen, said, "every conversation once, most recently changed first");
    // A page is read off an index: the work does not grow with the number of conversations.
    let plan = desk.store().plan_of_list_for_test();
    assert!(plan.contains("conversation_by_change") && !plan.contains("TEMP B-TREE"), "{plan}");
    assert!(list(&mut desk, None, usize::MAX).0.len() <= 1000, "no page without bounds");
}

#[test]
fn what_changed_last_stands_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let (first, question) = say(&mut desk, "first");
    let (second, _) = say(&mut desk, "second");
    // A conversation with nothing but a plan has not begun.
    desk.handle(Ask::SetPlan { conversation: ConversationId::fresh(), plan: Some("x = 1".into()) });
    assert_eq!(list(&mut desk, None, 10).0, [second, first]);
    desk.store().backdate_for_test(second, 1000);
    let reply = node(Some(question), Role::Assistant, "reply");
    desk.handle(Ask::PutNode { conversation: first, node: Box::new(reply) });
    assert_eq!(list(&mut desk, None, 10).0, [first, second]);
    // Renaming is no change of what was said.
    desk.handle(Ask::Rename { id: second, title: "renamed".into() });
    assert_eq!(list(&mut desk, None, 10).0, [first, second]);
}

#[test]
fn the_title_is_automatic_until_the_person_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(&folder.path().join("tiller.db"));
    let conversation = ConversationId::fresh();
    let put = |desk: &mut Desk, node: Node| {
        desk.handle(Ask::PutNode { conversation, node: Box::new(node) })
    };
    let system = node(None, Role::System, "Be kind");
    let (system_id, question) = (system.id, node(Some(system.id), Role::User, "# Hello there"));
    assert_eq!(title(&put(&mut desk, system)), (String::new(), false));
    let question_id = question.id;
    assert_eq!(title(&put(&mut desk, question)), ("Hello there".into(), false));
    put(&mut desk, node(Some(question_id), Role::User, "something else"));
    let told = desk.handle(Ask::Rename { id: conversation, title: " Mine ".into() });
    assert_eq!(title(&told), ("Mine".into(), true));
    let told = put(&mut desk, node(Some(system_id), Role::User, "other words"));
    assert_eq!(title(&told), ("Mine".into(), true));
    let told = desk.handle(Ask::Rename { id: conversation, title: "  ".into() });
    assert_eq!(title(&told), ("Hello there".into(), false));
}

#[test]
fn the_trash_can_be_undone_until_it_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiller.db");
    let mut first = desk(&path);
    let (kept, _) = say(&mut first, "to be kept");
    let (gone, node) = say(&mut first, "to be thrown away");
    let before = open(&mut first, gone);
    let told = first.handle(Ask::Trash(gone));
    assert_eq!(told, [Answer::Trashed(before.summary.clone())]);
    assert_eq!(list(&mut first, None, 10).0, [kept]);
    drop(first);
    let mut desk = desk(&path);
    assert_eq!(desk.handle(Ask::Restore(gone)), [Answer::Restored(before.summary.clone())]);
    assert_eq!(open(&mut desk, gone), before);
    assert_eq!(list(&mut desk, None, 10).0, [gone, kept]);
    desk.handle(Ask::Trash(gone));
    let told = desk.handle(Ask::ListTrash { after: None, limit: 10 });
    assert_eq!(told, [Answer::TrashListed { conversations: vec![before.summary], next: None }]);
    // A reply that ends after the conversation was thrown away is kept and does not bring it back.
    let reply = self::node(Some(node), Role::Assistant, "late");
    let told = desk.handle(Ask::PutNode { conversation: gone, node: Box::new(reply.clone()) });
    assert_eq!(told, [Answer::Kept(reply.id)]);
    assert!(desk.handle(Ask::Rename { id: gone, title: "unseen".into() }).is_empty());
    assert_eq!(list(&mut desk, None, 10).0, [kept]);
    assert_eq!(desk.handle(Ask::EmptyTrash), [Answer::TrashEmptied(1)]);
    assert!(matches!(desk.handle(Ask::Open(gone)).as_slice(), [Answer::Failed { .. }]));
    assert!(matches!(desk.handle(Ask::Restore(gone)).as_slice(), [Answer::Failed { .. }]));
    let finished = FinishedNode {
        node,
        content: String::new(),
        state: NodeState::Finished,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    };
    let told = desk.handle(Ask::FinishNode(Box::new(finished)));
    assert!(matches!(told.as_slice(), [Answer::Failed { waiting: 0, .. }]), "{told:?}");
    assert_eq!(list(&mut desk, None, 10).0, [kept]);
    desk.store().check_index_for_test();
}
