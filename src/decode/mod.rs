//! One reply: token rules, sampler, stop rules and the trace of every decision.
//!
//! Pure functions over the small traits of `model`; no threads, no files, no clock.
