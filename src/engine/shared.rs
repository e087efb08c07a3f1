//! What the handle and the engine's threads share: flags that act at once, and the way out for
//! events.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::Sender;
use parking_lot::{Mutex, RwLock};

use super::Event;
use super::vectors::Opened;
use crate::model::{Language, ModelFacts};
use crate::steer::Plan;

/// Counts what was sent and up to which of it was called off, so that a Stop pressed before the
/// worker has even begun a reply still stops that reply, and never the next one.
#[derive(Debug, Default)]
pub struct CallOff {
    sent: AtomicU64,
    through: AtomicU64,
}

impl CallOff {
    /// The number of the next one sent, from 1.
    pub fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number of the last one sent.
    pub fn last(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Calls off everything sent so far.
    pub fn call_off(&self) {
        self.through.fetch_max(self.last(), Ordering::SeqCst);
    }

    /// True when this one was called off.
    pub fn is_off(&self, number: u64) -> bool {
        number <= self.through.load(Ordering::SeqCst)
    }
}

/// Flags and the few values that do not travel by channel.
#[derive(Default)]
pub struct Shared {
    pub replies: CallOff,
    pub loads: CallOff,
    pub makings: CallOff,
    /// A vector is being made.
    pub is_making: AtomicBool,
    pub builds: CallOff,
    /// The handle is gone: everything ends.
    pub closing: AtomicBool,
    /// Replies measure how far from the base they are.
    pub measures: AtomicBool,
    /// The newest plan, and the number of the reply it is for.
    pub plan: Mutex<Option<(u64, Plan)>>,
    /// The text side of the model in memory.
    pub language: RwLock<Option<Arc<Language>>>,
    /// What is known of that model.
    pub facts: RwLock<Option<Arc<ModelFacts>>>,
    /// Vectors opened for the model of this fingerprint, not attached yet.
    pub arrivals: Mutex<Vec<(String, Opened)>>,
    pub vectors: Mutex<VectorPaths>,
}

/// Where vectors are on their way to the model.
#[derive(Debug, Default)]
pub struct VectorPaths {
    /// Ready to be dialled.
    pub held: BTreeSet<PathBuf>,
    /// Being opened; a plan that names one waits for it.
    pub opening: BTreeSet<PathBuf>,
}

impl Shared {
    /// True when this reply is to end now.
    pub fn reply_is_off(&self, number: u64) -> bool {
        self.closing.load(Ordering::SeqCst) || self.replies.is_off(number)
    }

    /// True when this vector is not to be made any further.
    pub fn making_is_off(&self, number: u64) -> bool {
        self.closing.load(Ordering::SeqCst) || self.makings.is_off(number)
    }

    /// True when this build is to end now.
    pub fn build_is_off(&self, number: u64) -> bool {
        self.closing.load(Ordering::SeqCst) || self.builds.is_off(number)
    }

    /// True when this load is to end now.
    pub fn load_is_off(&self, number: u64) -> bool {
        self.closing.load(Ordering::SeqCst) || self.loads.is_off(number)
    }
}

/// Sends events and wakes whoever shows them.
#[derive(Clone)]
pub struct Teller {
    pub events: Sender<Event>,
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

impl Teller {
    /// Waits while the channel is full; an event nobody will read any more is dropped.
    pub fn tell(&self, event: Event) {
        if self.events.send(event).is_ok() {
            (self.wake)();
        }
    }
}
