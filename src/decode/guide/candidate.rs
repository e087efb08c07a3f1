//! One of several beginnings of a reply, as guides and scorers are shown it.

/// A beginning of a reply.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The base's ids of the reply so far, the given opening included, the end-of-text id not.
    pub ids: &'a [u32],
    /// The whole reply's text so far, up to and with a stop string; an unfinished character at its
    /// end is left out.
    pub text: &'a str,
    /// It ended by itself: with an end-of-text id or a stop string.
    pub finished: bool,
    /// The end-of-text id that was drawn.
    pub end: Option<u32>,
    /// Sum of the base's own log-probabilities of what was drawn, the end included, nats.
    pub base_logprob: f32,
}

impl<'a> Candidate<'a> {
    /// A beginning that is under way and known by its ids alone.
    pub fn of_ids(ids: &'a [u32]) -> Self {
        Self { ids, text: "", finished: false, end: None, base_logprob: 0.0 }
    }
}
