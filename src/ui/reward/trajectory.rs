//! The rewards of one version of a reply, and where they dip.

use crate::session::{NodeId, TokenTrace};

/// Most dips that are marked on one line.
const MOST_DIPS: usize = 5;

/// One version of a reply with its rewards.
#[derive(Debug, Clone, Copy)]
pub struct Trajectory<'a> {
    pub node: NodeId,
    /// Its place among the versions, from 1.
    pub version: usize,
    /// It is the one on screen.
    pub is_shown: bool,
    pub tokens: &'a [TokenTrace],
    /// The scores of a reward model of its own rather than the adapter's, and what it calls itself.
    pub judged: Option<(&'a str, &'a [f32])>,
}

impl Trajectory<'_> {
    /// Token and reward, where there is one.
    pub fn points(&self) -> impl Iterator<Item = (usize, f32)> {
        let judged = self.judged.map(|(_, rewards)| rewards);
        let reward = move |at: usize, token: &TokenTrace| match judged {
            Some(rewards) => rewards.get(at).copied().filter(|reward| reward.is_finite()),
            None => token.reward,
        };
        let tokens = self.tokens.iter().enumerate();
        tokens.filter_map(move |(at, token)| Some((at, reward(at, token)?)))
    }

    /// What the line is called.
    pub fn name(&self) -> String {
        match self.judged {
            None => format!("Version {}", self.version),
            Some((judge, _)) => format!("Version {} by {judge}", self.version),
        }
    }

    /// The tokens at which the reward falls by more than `least` (a quarter of its range where that
    /// is unknown), the deepest ones, in the order of the text.
    pub fn dips(&self, least: Option<f32>) -> Vec<usize> {
        let points: Vec<(usize, f32)> = self.points().collect();
        let rewards = || points.iter().map(|(_, reward)| *reward);
        let range = rewards().fold(f32::MIN, f32::max) - rewards().fold(f32::MAX, f32::min);
        let least = least.unwrap_or(range / 4.0);
        let mut falls: Vec<(usize, f32)> = points
            .windows(2)
            .filter(|pair| pair[0].0 + 1 == pair[1].0)
            .map(|pair| (pair[1].0, pair[0].1 - pair[1].1))
            .filter(|(_, fall)| *fall > least && *fall > 0.0)
            .collect();
        falls.sort_by(|a, b| b.1.total_cmp(&a.1));
        falls.truncate(MOST_DIPS);
        let mut dips: Vec<usize> = falls.into_iter().map(|(at, _)| at).collect();
        dips.sort_unstable();
        dips
    }

    /// The likeliest token that could have stood there instead.
    pub fn other_at(&self, token: usize) -> Option<u32> {
        let trace = self.tokens.get(token)?;
        trace.alternatives.iter().map(|other| other.id).find(|id| *id != trace.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Alternative;

    #[test]
    fn dips_are_falls_beyond_the_unit_in_the_order_of_the_text() {
        let rewards = [0.0, 0.1, -0.5, -0.4, -2.0, -1.9, f32::NAN, -3.0];
        let mut tokens: Vec<TokenTrace> = rewards
            .iter()
            .map(|reward| TokenTrace {
                reward: Some(*reward).filter(|reward| reward.is_finite()),
                ..TokenTrace::default()
            })
            .collect();
        tokens[4].id = 7;
        let other = |id| Alternative { id, text: String::new(), logprob: -1.0 };
        tokens[4].alternatives = vec![other(7), other(9), other(3)];
        let line = Trajectory {
            node: NodeId::fresh(),
            version: 1,
            is_shown: true,
            tokens: &tokens,
            judged: None,
        };
        let judged = Trajectory { judged: Some(("judge", &[1.0, f32::NAN, 3.0])), ..line };
        assert_eq!(judged.points().collect::<Vec<_>>(), [(0, 1.0), (2, 3.0)]);
        assert_eq!((line.name(), judged.name()), ("Version 1".into(), "Version 1 by judge".into()));
        assert_eq!(line.dips(Some(0.5)), [2, 4], "none where a reward is missing before");
        assert_eq!(line.dips(None), [4], "a quarter of the range");
        assert_eq!(line.dips(Some(5.0)), Vec::<usize>::new());
        assert_eq!((line.other_at(4), line.other_at(2)), (Some(9), None));
    }
}
