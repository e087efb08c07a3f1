//! New ids: minted by whoever makes a conversation or a message, so that nobody waits for the
//! database to number it.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{ConversationId, NodeId};

/// The low bits that are random; above them are milliseconds since the Unix epoch, which fit into
/// the remaining 42 bits of a positive i64 until the year 2109.
const RANDOM_BITS: u32 = 21;

impl ConversationId {
    /// A new id, larger than every one minted before in this process.
    pub fn fresh() -> Self {
        Self(fresh())
    }
}

impl NodeId {
    /// A new id, larger than every one minted before in this process.
    pub fn fresh() -> Self {
        Self(fresh())
    }
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

fn fresh() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    static COUNT: AtomicI64 = AtomicI64::new(0);
    static KEYS: OnceLock<std::hash::RandomState> = OnceLock::new();
    let mut hasher = KEYS.get_or_init(std::hash::RandomState::new).build_hasher();
    hasher.write_i64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    let random = (hasher.finish() >> (64 - RANDOM_BITS)) as i64;
    let stamp = now_ms().clamp(1, (1 << (63 - RANDOM_BITS)) - 1);
    let wished = (stamp << RANDOM_BITS) | random;
    // A clock set back, or two ids in one millisecond, must not make a later id the smaller one.
    let mut last = LAST.load(Ordering::Relaxed);
    loop {
        let id = wished.max(last + 1);
        match LAST.compare_exchange_weak(last, id, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return id,
            Err(newer) => last = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_and_grow_across_threads() {
        let mint = || (0..2000).map(|_| NodeId::fresh()).collect::<Vec<_>>();
        let named = || std::thread::Builder::new().name("mint".into());
        let threads: Vec<_> = (0..4).map(|_| named().spawn(mint).unwrap()).collect();
        let mut all = Vec::new();
        for thread in threads {
            let ids = thread.join().unwrap();
            assert!(ids.is_sorted_by(|a, b| a < b), "each later id is larger");
            all.extend(ids);
        }
        assert!(all.iter().all(|id| id.0 > 0));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "no id twice");
    }
}
