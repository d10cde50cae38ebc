//! The open exchanges of a connection, in two tables: those this side opened, and those the peer did.
//!
//! Everything that decides which ids exist, which are new and which are over lives here.  SPEC §10

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use core::mem;

use super::credit::{Allowance, Budget};
use crate::error::PeerMisbehaved;
use crate::role::Role;
use crate::status::Status;
use crate::time::Instant;

/// An exchange that this side opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) id: u64,
    pub(crate) deadline: Option<Instant>,
    /// Its opening has left in a frame.
    pub(crate) sealed: bool,
    /// Its opening was taken out of the queue instead, since its deadline had passed.
    pub(crate) unsent: bool,
    /// The application has been told its end; what still comes is ignored.  SPEC §10.4
    pub(crate) given_up: bool,
    pub(crate) cancel: Cancel,
    /// The peer has answered with `more`.
    pub(crate) answering: bool,
    /// Boxed: most exchanges are requests.
    pub(crate) subscription: Option<Box<Subscription>>,
}

/// Whether the peer is asked to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cancel {
    No,
    Due(Status),
    Sent,
}

/// The receiving end of a subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) allowance: Allowance,
    /// The longest body that is taken in several messages; 0 for none.
    pub(crate) largest: u32,
    /// A publication that goes on.
    pub(crate) coming: Option<Coming>,
}

/// What is still to come of a publication.  SPEC §14.5
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Coming {
    pub(crate) rest: u64,
    /// The application is told; if not, it is discarded.
    pub(crate) wanted: bool,
}

/// An exchange that the peer opened.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    pub(crate) deadline: Option<Instant>,
    pub(crate) kind: TakenKind,
    /// The opener's body goes on.
    pub(crate) out_open: bool,
    pub(crate) answer: Answer,
    /// The peer has asked to stop.
    pub(crate) cancelled: bool,
}

#[derive(Debug)]
pub(crate) enum TakenKind {
    Request,
    Subscription {
        /// The application has accepted it.
        accepted: bool,
        budget: Budget,
        /// Whether `credited` has it.
        credited: bool,
        /// How much of a publication's body is still to be sent; 0 where none is half sent.  SPEC §14.5
        unsent: u64,
    },
}

/// How far the one message that ends the back direction has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// The application owes it.
    Owed,
    /// This side gives it itself, without a body.
    Due(Status),
    /// It waits in a queue.
    Queued,
    /// It has left; the opener's body goes on.
    Sent,
}

/// Both tables.  Ids rise within each, so a table is sorted by being appended to.
#[derive(Debug)]
pub(crate) struct Exchanges {
    ours: VecDeque<Opened>,
    theirs: VecDeque<Taken>,
    /// Subscriptions of theirs into which more can be published than when last asked, each once; those that have
    /// ended may linger.
    credited: VecDeque<u64>,
    our_requests: u16,
    our_subscriptions: u16,
    their_requests: u16,
    their_subscriptions: u16,
    next_id: u64,
    highest_sealed: u64,
    highest_taken: u64,
    stray_budget: u16,
    /// The peer has closed: what was not opened yet never is.  SPEC §16.1
    stopped: bool,
}

/// SPEC §10.1
const STRAYS_AT_FIRST: u16 = 64;
const STRAYS_PER_END: u16 = 4;
const STRAYS_AT_MOST: u16 = 256;

impl Exchanges {
    /// Empty tables for the side with this role.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            ours: VecDeque::new(),
            theirs: VecDeque::new(),
            credited: VecDeque::new(),
            our_requests: 0,
            our_subscriptions: 0,
            their_requests: 0,
            their_subscriptions: 0,
            next_id: if role.is_initiator() { 2 } else { 1 },
            highest_sealed: 0,
            highest_taken: 0,
            stray_budget: STRAYS_AT_FIRST,
            stopped: false,
        }
    }

    /// Opens nothing more, also not what waits in the queue.  SPEC §16.1
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(crate) fn our_requests(&self) -> u16 {
        self.our_requests
    }

    pub(crate) fn our_subscriptions(&self) -> u16 {
        self.our_subscriptions
    }

    pub(crate) fn their_requests(&self) -> u16 {
        self.their_requests
    }

    pub(crate) fn their_subscriptions(&self) -> u16 {
        self.their_subscriptions
    }

    pub(crate) fn highest_taken(&self) -> u64 {
        self.highest_taken
    }

    pub(crate) fn highest_sealed(&self) -> u64 {
        self.highest_sealed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.theirs.is_empty()
    }

    /// Opens an exchange of ours and returns its id.  SPEC §10.1
    pub(crate) fn open(&mut self, deadline: Option<Instant>, subscription: Option<Box<Subscription>>) -> u64 {
        let id = self.next_id;
        self.next_id += 2;
        match subscription {
            Some(_) => self.our_subscriptions += 1,
            None => self.our_requests += 1,
        }
        self.ours.push_back(Opened {
            id,
            deadline,
            sealed: false,
            unsent: false,
            given_up: false,
            cancel: Cancel::No,
            answering: false,
            subscription,
        });
        id
    }

    /// Takes an exchange of the peer's.  SPEC §10.1
    pub(crate) fn take(&mut self, taken: Taken) {
        self.highest_taken = taken.id;
        match taken.kind {
            TakenKind::Request => self.their_requests += 1,
            TakenKind::Subscription { .. } => self.their_subscriptions += 1,
        }
        self.theirs.push_back(taken);
    }

    /// Notes an opening that is ignored: its id counts as used.
    pub(crate) fn pass_over(&mut self, id: u64) {
        self.highest_taken = id;
    }

    /// Checks that an opening's id has the peer's parity and is new.  SPEC §10.1
    pub(crate) fn check_opening(&self, id: u64) -> Result<(), PeerMisbehaved> {
        if id == 0 || self.is_ours(id) || id <= self.highest_taken {
            return Err(PeerMisbehaved::OpeningId(id));
        }
        Ok(())
    }

    /// Whether ids like this are opened by this side.
    pub(crate) fn is_ours(&self, id: u64) -> bool {
        id % 2 == self.next_id % 2
    }

    pub(crate) fn ours(&mut self, id: u64) -> Option<&mut Opened> {
        let at = self.ours.binary_search_by_key(&id, |opened| opened.id).ok()?;
        self.ours.get_mut(at)
    }

    pub(crate) fn theirs(&mut self, id: u64) -> Option<&mut Taken> {
        let at = self.theirs.binary_search_by_key(&id, |taken| taken.id).ok()?;
        self.theirs.get_mut(at)
    }

    /// The exchange of ours that a message is about; `None` for a stray.  SPEC §10.1
    pub(crate) fn ours_or_stray(&mut self, id: u64) -> Result<Option<&mut Opened>, PeerMisbehaved> {
        if !self.is_ours(id) {
            return Err(self.foreign(id));
        }
        if id > self.highest_sealed || id == 0 {
            return Err(PeerMisbehaved::UnknownExchange(id));
        }
        match self.ours.binary_search_by_key(&id, |opened| opened.id) {
            Ok(at) => Ok(self.ours.get_mut(at)),
            Err(_) => self.stray().map(|()| None),
        }
    }

    /// The exchange of theirs that a message is about; `None` for a stray.  SPEC §10.1
    pub(crate) fn theirs_or_stray(&mut self, id: u64) -> Result<Option<&mut Taken>, PeerMisbehaved> {
        if self.is_ours(id) {
            return Err(self.foreign(id));
        }
        if id > self.highest_taken || id == 0 {
            return Err(PeerMisbehaved::UnknownExchange(id));
        }
        match self.theirs.binary_search_by_key(&id, |taken| taken.id) {
            Ok(at) => Ok(self.theirs.get_mut(at)),
            Err(_) => self.stray().map(|()| None),
        }
    }

    /// Notes that a subscription of theirs was accepted, or got credit.
    pub(crate) fn on_credited(&mut self, id: u64) {
        let Some(flag) = self.credited_flag(id) else { return };
        if mem::replace(flag, true) {
            return;
        }
        // Before it grows: whoever never asks keeps no more than there are subscriptions.
        if self.credited.len() == self.credited.capacity() {
            let mut credited = mem::take(&mut self.credited);
            credited.retain(|id| self.credited_flag(*id).is_some());
            self.credited = credited;
        }
        self.credited.push_back(id);
    }

    /// One of those, once.
    pub(crate) fn poll_credited(&mut self) -> Option<u64> {
        while let Some(id) = self.credited.pop_front() {
            if let Some(flag) = self.credited_flag(id) {
                *flag = false;
                return Some(id);
            }
        }
        None
    }

    fn credited_flag(&mut self, id: u64) -> Option<&mut bool> {
        match &mut self.theirs(id)?.kind {
            TakenKind::Subscription { credited, .. } => Some(credited),
            TakenKind::Request => None,
        }
    }

    /// Notes that the opening of an exchange of ours has left.
    pub(crate) fn sealed(&mut self, id: u64) {
        self.highest_sealed = id;
        if let Some(opened) = self.ours(id) {
            opened.sealed = true;
        }
    }

    /// Frees the slot of an exchange of ours.
    pub(crate) fn close_ours(&mut self, id: u64) -> Option<Opened> {
        let at = self.ours.binary_search_by_key(&id, |opened| opened.id).ok()?;
        let opened = self.ours.remove(at)?;
        match opened.subscription {
            Some(_) => self.our_subscriptions -= 1,
            None => self.our_requests -= 1,
        }
        self.earn_strays();
        Some(opened)
    }

    /// Frees the slot of an exchange of theirs.
    pub(crate) fn close_theirs(&mut self, id: u64) {
        let Ok(at) = self.theirs.binary_search_by_key(&id, |taken| taken.id) else { return };
        if let Some(taken) = self.theirs.remove(at) {
            match taken.kind {
                TakenKind::Request => self.their_requests -= 1,
                TakenKind::Subscription { .. } => self.their_subscriptions -= 1,
            }
            self.earn_strays();
        }
    }

    /// Takes the oldest exchange of ours out, at the end of the connection.
    pub(crate) fn pop_ours(&mut self) -> Option<Opened> {
        self.ours.pop_front()
    }

    /// The newest exchange of ours above this id.
    pub(crate) fn newest_above(&self, id: u64) -> Option<u64> {
        self.ours.back().map(|opened| opened.id).filter(|newest| *newest > id)
    }

    /// The exchange of ours above this id whose deadline has passed and is still to be told.
    pub(crate) fn overdue_ours(&self, above: u64, now: Instant) -> Option<u64> {
        let from = self.ours.partition_point(|opened| opened.id <= above);
        let overdue = |o: &&Opened| !o.given_up && o.deadline.is_some_and(|deadline| deadline <= now);
        self.ours.range(from..).find(overdue).map(|opened| opened.id)
    }

    /// The exchange of theirs above this id whose deadline has passed without an answer.
    pub(crate) fn overdue_theirs(&self, above: u64, now: Instant) -> Option<u64> {
        let from = self.theirs.partition_point(|taken| taken.id <= above);
        let overdue =
            |t: &&Taken| t.answer == Answer::Owed && t.deadline.is_some_and(|deadline| deadline <= now);
        self.theirs.range(from..).find(overdue).map(|taken| taken.id)
    }

    /// The next deadline that still matters.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let ours = self.ours.iter().filter(|o| !o.given_up).filter_map(|o| o.deadline);
        let theirs = self.theirs.iter().filter(|t| t.answer == Answer::Owed).filter_map(|t| t.deadline);
        ours.chain(theirs).min()
    }

    /// What a message means that only the other side may send about this id.
    fn foreign(&self, id: u64) -> PeerMisbehaved {
        let known = if self.is_ours(id) { self.highest_sealed } else { self.highest_taken };
        if id > known { PeerMisbehaved::UnknownExchange(id) } else { PeerMisbehaved::State(id) }
    }

    /// Ignores one message about an exchange that has ended, within the budget.  SPEC §10.1
    fn stray(&mut self) -> Result<(), PeerMisbehaved> {
        self.stray_budget = self.stray_budget.checked_sub(1).ok_or(PeerMisbehaved::Strays)?;
        Ok(())
    }

    fn earn_strays(&mut self) {
        self.stray_budget = (self.stray_budget + STRAYS_PER_END).min(STRAYS_AT_MOST);
    }
}
