//! When the parts of a reply began, and so how long each took.

use std::time::Instant;

use super::ReplyTimings;

/// When the parts of a reply began.
pub(super) struct Clock {
    pub(super) asked: Instant,
    pub(super) started: Instant,
    pub(super) prefilled: Option<Instant>,
    pub(super) first: Option<Instant>,
}

impl Clock {
    pub(super) fn timings(&self, prompt: usize, reused: usize, reply: usize) -> ReplyTimings {
        let now = Instant::now();
        let prefilled = self.prefilled.unwrap_or(now);
        let first = self.first.unwrap_or(now);
        ReplyTimings {
            prompt_tokens: prompt,
            reused_tokens: reused,
            reply_tokens: reply,
            prefill_secs: (prefilled - self.started).as_secs_f64(),
            first_token_secs: (first - self.asked).as_secs_f64(),
            decode_secs: (now - first).as_secs_f64(),
            ..ReplyTimings::default()
        }
    }
}
