//! Training on candle: a small language model from scratch, with fused operations of our own.
