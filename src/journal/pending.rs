//! An edit that was submitted and not waited for yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::queue::Slot;
use super::{Ack, Inner};
use crate::error::Error;

/// An edit that was submitted; wait for it or `await` it. Dropping this does not take the edit back.
#[must_use = "an edit that nobody waits for may still be refused or fail"]
pub struct Pending {
    pub(super) inner: Arc<Inner>,
    pub(super) slot: Arc<Slot>,
}

impl Pending {
    /// Wait until the edit is durable.
    pub fn wait(self) -> Result<Ack, Error> {
        self.inner.log.refuse_child()?;
        let settled = self.inner.drive(&self.slot);
        self.inner.acknowledge(&self.slot, settled)
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("path", &self.inner.config.path).finish_non_exhaustive()
    }
}

impl Future for Pending {
    type Output = Result<Ack, Error>;

    /// Ready once the edit is durable; the background thread sees to that.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.log.refuse_child()?;
        match self.slot.poll(context) {
            Poll::Ready(settled) => Poll::Ready(self.inner.acknowledge(&self.slot, settled)),
            Poll::Pending => {
                if self.inner.signals.submitted() {
                    self.inner.wake_keeper();
                }
                Poll::Pending
            }
        }
    }
}
