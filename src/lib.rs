//! A write-ahead log for config files.
mod storage;

/// A simulated disk and planned faults, for this crate's own tests. No promise is made about it.
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim {
    pub use crate::storage::faulty::{Call, FaultPlan, Faulty, Killed, Seat, Seen, SyncFault, Times, is_killed};
    pub use crate::storage::simulated::{
        CrashImages, Disk, DiskImage, Handle, Limits, Metadata, NoStateId, Order, Process, Rules, StateId, Time,
    };
}
