//! The answers that tasks are to give.

use alloc::vec::Vec;
use core::task::Waker;

use crate::{Connection, ExchangeId, SendError, Status};

/// One for each request that has a responder and that the peer still waits for: at most
/// [`Limits::requests_in`](crate::Limits::requests_in).
#[derive(Debug, Default)]
pub(super) struct Owed {
    answers: Vec<Answer>,
}

#[derive(Debug)]
struct Answer {
    to: ExchangeId,
    /// Whom to wake when an exchange is free, where the answer waits for one.
    waiting: Option<Waker>,
    /// What to say instead: the responder is gone.
    instead: Option<Status>,
}

impl Owed {
    /// Has room for so many from now on.
    pub(super) fn reserve(&mut self, room: usize) {
        self.answers.reserve_exact(room);
    }

    pub(super) fn add(&mut self, to: ExchangeId) {
        if !self.contains(to) {
            self.answers.push(Answer { to, waiting: None, instead: None });
        }
    }

    pub(super) fn contains(&self, to: ExchangeId) -> bool {
        self.place_of(to).is_some()
    }

    /// How many wait for an exchange to be free.
    pub(super) fn waiting(&self) -> usize {
        self.answers.iter().filter(|answer| answer.waiting.is_some()).count()
    }

    /// Whom to wake for this one, or that it waits no more.
    pub(super) fn wait(&mut self, to: ExchangeId, waker: Option<&Waker>) {
        if let Some(answer) = self.find(to) {
            answer.waiting = waker.cloned();
        }
    }

    /// An exchange is free.  Those who waited do so until they have had their turn: nobody else takes it before.
    pub(super) fn wake(&self) {
        for waker in self.answers.iter().filter_map(|answer| answer.waiting.as_ref()) {
            waker.wake_by_ref();
        }
    }

    /// The responder is gone: where nothing was answered, this is.
    pub(super) fn abandon(&mut self, to: ExchangeId, status: Status) {
        if let Some(answer) = self.find(to) {
            (answer.waiting, answer.instead) = (None, Some(status));
        }
    }

    /// Nothing is owed any more: it was answered, or nobody waits for it.
    pub(super) fn settle(&mut self, to: ExchangeId) {
        if let Some(at) = self.place_of(to)
            && let Some(waker) = self.answers.swap_remove(at).waiting
        {
            waker.wake();
        }
    }

    /// Answers for the responders that are gone, as far as there is room.
    pub(super) fn pay(&mut self, connection: &mut Connection) {
        let mut at = 0;
        while let Some(answer) = self.answers.get(at) {
            if let Some(status) = answer.instead
                && connection.respond(answer.to, status, &[]) != Err(SendError::Full)
            {
                // It is answered, or nobody waits any more.
                self.answers.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// The connection has ended.
    pub(super) fn clear(&mut self) {
        self.wake();
        self.answers.clear();
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn place_of(&self, to: ExchangeId) -> Option<usize> {
        self.answers.iter().position(|answer| answer.to == to)
    }

    fn find(&mut self, to: ExchangeId) -> Option<&mut Answer> {
        self.place_of(to).and_then(|at| self.answers.get_mut(at))
    }
}
