//! What is taken back when a wait is given up, or over.

use std::task::Waker;

use super::link::{Answer, Link, Opening, Serve};
use crate::{ExchangeId, Instant};

/// A connection that an adapter shares among handles, behind a lock.
pub(crate) trait Locked {
    type Handler: Serve;

    /// Runs a command on the link, and has what it made sent.
    fn with_link<R>(&self, command: impl FnOnce(&mut Link<Self::Handler>, Instant) -> R) -> R;

    /// Forgets a handler that is at work, and runs `command` with whether it was to stop.
    fn end_handler<R>(&self, id: ExchangeId, command: impl FnOnce(&mut Link<Self::Handler>, bool) -> R) -> R;
}

/// A place among those who wait, given up when it is dropped.
pub(crate) struct Place<'a, C: Locked> {
    core: &'a C,
    line: Option<Opening>,
    pub(crate) number: Option<u64>,
}

impl<'a, C: Locked> Place<'a, C> {
    /// For those who wait to open something.
    pub(crate) fn in_line(core: &'a C, kind: Opening) -> Self {
        Self { core, line: Some(kind), number: None }
    }

    /// For those who wait for the link itself.
    pub(crate) fn beside(core: &'a C) -> Self {
        Self { core, line: None, number: None }
    }
}

impl<C: Locked> Drop for Place<'_, C> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        self.core.with_link(|link, _| match self.line {
            Some(kind) => link.leave(kind, number),
            None => link.unwatch(number),
        });
    }
}

/// A call that is open; dropped, it is cancelled on the wire.
pub(crate) struct Call<'a, C: Locked> {
    core: &'a C,
    id: ExchangeId,
    answered: bool,
}

impl<'a, C: Locked> Call<'a, C> {
    pub(crate) fn new(core: &'a C, id: ExchangeId) -> Self {
        Self { core, id, answered: false }
    }

    /// The answer, once; until then `waker` is kept.
    pub(crate) fn poll(&mut self, link: &mut Link<C::Handler>, waker: &Waker) -> Option<Answer> {
        let answer = link.poll_answer(self.id, waker);
        self.answered |= answer.is_some();
        answer
    }
}

impl<C: Locked> Drop for Call<'_, C> {
    fn drop(&mut self) {
        if !self.answered {
            self.core.with_link(|link, _| link.drop_call(self.id));
        }
    }
}
