//! The dials of a conversation as they were: undo and redo of changes of the plan.

use crate::steer::Plan;

/// Changes closer together than this are one: a drag, or a number being typed.
const ONE_CHANGE_SECS: f64 = 0.8;

/// Plans remembered.
const MOST: usize = 100;

/// Plans before and after the one dialled now.
#[derive(Debug, Clone, Default)]
pub struct PlanHistory {
    before: Vec<Plan>,
    after: Vec<Plan>,
    changed_at: Option<f64>,
}

impl PlanHistory {
    /// Notes that this plan gave way to another at a time in seconds.
    pub fn note(&mut self, old: &Plan, now_secs: f64) {
        let goes_on = self.changed_at.is_some_and(|at| (now_secs - at) < ONE_CHANGE_SECS);
        self.changed_at = Some(now_secs);
        self.after.clear();
        if goes_on {
            return;
        }
        if self.before.len() == MOST {
            self.before.remove(0);
        }
        self.before.push(old.clone());
    }

    /// The plan before the last change; `now` can be had back.
    pub fn undo(&mut self, now: &Plan) -> Option<Plan> {
        let plan = self.before.pop()?;
        self.after.push(now.clone());
        self.changed_at = None;
        Some(plan)
    }

    /// The plan that was undone last.
    pub fn redo(&mut self, now: &Plan) -> Option<Plan> {
        let plan = self.after.pop()?;
        self.before.push(now.clone());
        self.changed_at = None;
        Some(plan)
    }

    pub fn can_undo(&self) -> bool {
        !self.before.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.after.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan { seed, ..Plan::default() }
    }

    #[test]
    fn a_drag_is_one_change_and_comes_back_whole() {
        let mut history = PlanHistory::default();
        // A drag from 0 to 3, a pause, then 4.
        for (old, at) in [(0, 10.0), (1, 10.1), (2, 10.5), (3, 20.0)] {
            history.note(&plan(old), at);
        }
        assert_eq!(history.undo(&plan(4)), Some(plan(3)));
        assert_eq!(history.undo(&plan(3)), Some(plan(0)));
        assert_eq!(history.undo(&plan(0)), None);
        assert_eq!(history.redo(&plan(0)), Some(plan(3)));
        assert!(history.can_undo() && history.can_redo());
        // A change made now is the end of what was undone, and no part of the drag before it.
        history.note(&plan(3), 20.1);
        assert!(!history.can_redo());
        assert_eq!(history.undo(&plan(9)), Some(plan(3)));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut history = PlanHistory::default();
        for change in 0..MOST as u64 + 20 {
            history.note(&plan(change), change as f64 * 10.0);
        }
        let undone = std::iter::from_fn(|| history.undo(&plan(0))).count();
        assert_eq!(undone, MOST);
    }
}
