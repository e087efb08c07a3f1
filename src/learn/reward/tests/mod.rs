//! Tests of learning rewards: the trained pass and its gradients, then whole runs.

mod runs;
mod stream;
