//! The end of a connection that a request asks for, in the middle of whatever is going on: what
//! testers see of servers that break.

use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Context;

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severed {
    /// It is closed.
    Closed = 1,
    /// It is reset: what was not read yet is lost.
    Reset = 2,
    /// The server's side of it is closed. What the peer sends is still read for a moment.
    HalfClosed = 3,
}

/// What requests and the task that drives their connection have in common.
#[derive(Debug, Default)]
pub(crate) struct Severance {
    asked: AtomicU8,
    driver: AtomicWaker,
}

impl Severance {
    /// Has the connection ended.
    pub(crate) fn sever(&self, how: Severed) {
        self.asked.store(how as u8, Ordering::Release);
        self.driver.wake();
    }

    /// How the connection is to be ended; none while it is not. The task is woken when it is.
    pub(crate) fn asked(&self, context: &Context<'_>) -> Option<Severed> {
        self.driver.register(context.waker());
        match self.asked.load(Ordering::Acquire) {
            1 => Some(Severed::Closed),
            2 => Some(Severed::Reset),
            3 => Some(Severed::HalfClosed),
            _ => None,
        }
    }
}
