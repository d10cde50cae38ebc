//! Handlers: a thread for each that is at work, from a pool of the device.

use std::boxed::Box;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::core::{Core, State};
use super::device::{Context, Handler, HandlerFn};
use super::exchange::RawExchange;
use super::handle::Handle;
use super::pool::{Job, Source};
use crate::adapter::host::error::Refusal;
use crate::adapter::host::link::{Incoming, Link};
use crate::adapter::host::owed::Owed;
use crate::{ExchangeId, Status, StopCause};

/// The requests of a connection that handlers serve, or will.
#[derive(Default)]
pub(super) struct Requests {
    /// Those for which no thread was free yet.
    waiting: VecDeque<Incoming<Handler>>,
    /// Handlers at work, and whether each should stop: also those whose callers were answered without them.
    running: HashMap<ExchangeId, Arc<AtomicBool>>,
    /// The pool knows that some wait.
    queued: bool,
}

impl Requests {
    /// Takes new requests from the link, and says whether the pool is to be told.
    ///
    /// At most `most` are here at once, as many as the peer may have open.  With those at work count those that
    /// nobody waits for any more: short deadlines would otherwise make room for more and more of them.  Those that
    /// have answered, and are about to return, count beyond that: their callers may ask again at once.
    pub(super) fn take(&mut self, link: &mut Link<Handler>, most: usize) -> bool {
        if link.requests.is_empty() {
            return self.tell();
        }
        let answered = self.running.keys().filter(|id| link.has_answered(**id)).count().min(most);
        while let Some(request) = link.requests.pop_front() {
            if self.waiting.len() + self.running.len() < most + answered {
                self.waiting.push_back(request);
            } else {
                let _none = link.respond(request.id, Err(Refusal::Busy(Duration::ZERO)));
            }
        }
        self.tell()
    }

    /// Whether the pool is to be told that some wait.
    fn tell(&mut self) -> bool {
        let tell = !self.queued && !self.waiting.is_empty();
        self.queued |= tell;
        tell
    }

    /// Tells the handlers whose callers have gone; of those that have not begun nothing is kept.
    pub(super) fn stop(&mut self, link: &mut Link<Handler>) {
        while let Some((id, cause)) = link.stops.pop_front() {
            if let Some(stop) = self.running.get(&id) {
                stop.store(true, Ordering::Relaxed);
            } else if let Some(place) = self.waiting.iter().position(|request| request.id == id) {
                self.waiting.remove(place);
                // Whose deadline has passed has been answered.
                if let StopCause::Cancel(_) = cause {
                    let _none = link.respond(id, Err(Status::CANCELLED.into()));
                }
            }
        }
    }

    /// The connection has ended.
    pub(super) fn end(self) {
        self.running.into_values().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }

    /// Forgets a handler, and says whether it was told to stop: each that is at work behind [`end`](Self::end) was.
    pub(super) fn done(&mut self, id: ExchangeId) -> bool {
        self.running.remove(&id).is_none_or(|stop| stop.load(Ordering::Relaxed))
    }

    /// The next request, and how its handler is told to stop: noted before the lock is given back, since the
    /// caller may be gone before the handler begins.
    fn begin(&mut self) -> Option<(Incoming<Handler>, Arc<AtomicBool>)> {
        let request = self.waiting.pop_front();
        self.queued = !self.waiting.is_empty();
        let request = request?;
        let stop = Arc::new(AtomicBool::new(false));
        self.running.insert(request.id, stop.clone());
        Some((request, stop))
    }
}

impl Source for Core {
    fn next_job(self: &Arc<Self>) -> Option<(Job, bool)> {
        let (request, stop, peer, more) = self.look(|state| {
            let (request, stop) = state.requests.begin()?;
            Some((request, stop, state.link.connection.peer(), state.requests.queued))
        })?;
        let Incoming { id, handler, body, deadline } = request;
        let mut owed = Owed::new(self.clone(), id);
        let handle = Handle::new(self.clone());
        let core = self.clone();
        let job = move || {
            // A peer that asks has proven who it is.
            let Some(peer) = peer else { return };
            let context = Context { handle, peer, deadline, stop };
            if !context.is_cancelled() {
                let reply = match &handler.0 {
                    HandlerFn::Call(handler) => handler(context, body),
                    HandlerFn::Stream(handler) => handler(context, body, RawExchange::new(core, id)),
                };
                owed.pay(reply);
            }
        };
        Some((Box::new(job), more))
    }

    fn turn_away(&self) {
        self.with(|State { link, requests, .. }, _| {
            requests.queued = false;
            for request in requests.waiting.drain(..) {
                let _none = link.respond(request.id, Err(Refusal::Busy(Duration::ZERO)));
            }
        });
    }
}
