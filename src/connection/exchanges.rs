//! The open exchanges of a connection, in two tables: those this side opened, and those the peer did.
//!
//! Everything that decides which ids exist, which are new and which are over lives here.  SPEC §10

mod records;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use super::bodies::{Bodies, Outbound};
use super::credit::ReceiveCredit;
use crate::config::Limits;
use crate::error::PeerMisbehaved;
use crate::name;
use crate::role::Role;
use crate::time::{Instant, sooner};

use records::Record;
pub(crate) use records::{
    Answer, Cancel, Coming, FILTER_AT_REST, Opened, OpenedKind, Overdue, Subscription, Taken, TakenKind,
};

/// Both tables.  Ids rise within each, so a table is sorted by being appended to.
#[derive(Debug)]
pub(crate) struct Exchanges {
    ours: VecDeque<Opened>,
    theirs: VecDeque<Taken>,
    /// Subscriptions of theirs into which more can be published than when last asked, each once; those that have
    /// ended may linger.
    credited: VecDeque<u64>,
    /// Records of subscriptions of ours for the next ones; none where memory is not reserved.
    #[expect(
        clippy::vec_box,
        reason = "it comes from a box and goes into one, for which nothing may be allocated"
    )]
    spare: Vec<Box<Subscription>>,
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
    pub(crate) const fn new(role: Role) -> Self {
        Self {
            ours: VecDeque::new(),
            theirs: VecDeque::new(),
            credited: VecDeque::new(),
            spare: Vec::new(),
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

    /// Makes the tables, which are empty, as large as they may ever be; before the first exchange of either side.
    pub(crate) fn reserve(&mut self, limits: &Limits) {
        debug_assert!(self.ours.is_empty() && self.theirs.is_empty() && self.credited.is_empty());
        // New ones: code that makes room in one can also move what lies in it.
        self.ours = VecDeque::with_capacity(limits.exchanges_out());
        self.theirs = VecDeque::with_capacity(limits.exchanges_in());
        self.credited = VecDeque::with_capacity(limits.subscriptions_in.into());
        let subscriptions = limits.subscriptions_out.into();
        self.spare.reserve_exact(subscriptions);
        self.spare.extend((0..subscriptions).map(|_| Subscription::spare(FILTER_AT_REST)));
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
    pub(crate) fn open(
        &mut self,
        deadline: Option<Instant>,
        kind: OpenedKind,
        bodies: Option<Box<Bodies>>,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 2;
        match kind {
            OpenedKind::Subscription(_) => self.our_subscriptions += 1,
            OpenedKind::Open | OpenedKind::Request => self.our_requests += 1,
        }
        self.ours.push_back(Opened {
            id,
            deadline,
            sealed: false,
            unsent: false,
            given_up: false,
            cancel: Cancel::No,
            due: false,
            answering: false,
            ended: false,
            kind,
            bodies,
        });
        id
    }

    /// A record for a subscription of ours.
    pub(crate) fn new_subscription(&mut self, filter: &str, window: u32, largest: u32) -> Box<Subscription> {
        let mut record = self.spare.pop().unwrap_or_else(|| Subscription::spare(filter.len()));
        record.filter.clear();
        record.filter.push_str(filter);
        record.wildcards = name::has_wildcards(filter);
        (record.receive_credit, record.largest, record.coming) = (ReceiveCredit::new(window), largest, None);
        record
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

    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn ours(&mut self, id: u64) -> Option<&mut Opened> {
        let at = place_of(&self.ours, id)?;
        self.ours.get_mut(at)
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    pub(crate) fn theirs(&mut self, id: u64) -> Option<&mut Taken> {
        let at = place_of(&self.theirs, id)?;
        self.theirs.get_mut(at)
    }

    /// The exchange of ours that a message is about; `None` for a stray.  SPEC §10.1
    pub(crate) fn ours_or_stray(&mut self, id: u64) -> Result<Option<&mut Opened>, PeerMisbehaved> {
        self.check_opened(id)?;
        // EXC-5
        if !self.is_ours(id) {
            return Err(PeerMisbehaved::State(id));
        }
        match place_of(&self.ours, id) {
            Some(at) => Ok(self.ours.get_mut(at)),
            None => self.stray().map(|()| None),
        }
    }

    /// The exchange of theirs that a message is about; `None` for a stray.  SPEC §10.1
    pub(crate) fn theirs_or_stray(&mut self, id: u64) -> Result<Option<&mut Taken>, PeerMisbehaved> {
        self.check_opened(id)?;
        if self.is_ours(id) {
            return Err(PeerMisbehaved::State(id));
        }
        match place_of(&self.theirs, id) {
            Some(at) => Ok(self.theirs.get_mut(at)),
            None => self.stray().map(|()| None),
        }
    }

    /// Notes that a subscription of theirs was accepted, or got credit.
    pub(crate) fn on_credited(&mut self, id: u64) {
        let Some(flag) = self.credited_flag(id) else { return };
        if mem::replace(flag, true) {
            return;
        }
        let mut credited = mem::take(&mut self.credited);
        line_up(&mut credited, id, &mut |id| self.credited_flag(id).is_some());
        self.credited = credited;
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

    /// Notes the exchange of ours whose opening leaves now: from now on the peer may speak of it.
    pub(crate) fn note_sealed(&mut self, id: u64) {
        self.highest_sealed = id;
    }

    /// Frees the slot of an exchange of ours, and says whether the application still waits for its end.
    pub(crate) fn close_ours(&mut self, id: u64) -> bool {
        let Some(at) = place_of(&self.ours, id) else { return false };
        let Some(opened) = take_out(&mut self.ours, at) else { return false };
        let awaited = opened.is_awaited();
        match opened.kind {
            OpenedKind::Subscription(record) => {
                self.our_subscriptions -= 1;
                if self.spare.len() < self.spare.capacity() {
                    self.spare.push(record);
                }
            }
            OpenedKind::Open | OpenedKind::Request => self.our_requests -= 1,
        }
        self.earn_strays();
        awaited
    }

    /// Frees the slot of an exchange of theirs.
    pub(crate) fn close_theirs(&mut self, id: u64) {
        let Some(at) = place_of(&self.theirs, id) else { return };
        if let Some(taken) = take_out(&mut self.theirs, at) {
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

    /// The exchange of ours above this id whose time is over, or which has stalled, and of which the application is
    /// still to be told.
    pub(crate) fn overdue_ours(&self, above: u64, now: Instant) -> Option<(u64, Overdue)> {
        overdue(&self.ours, above, now)
    }

    /// The exchange of theirs above this id whose time is over, or which has stalled, without a last message.
    pub(crate) fn overdue_theirs(&self, above: u64, now: Instant) -> Option<(u64, Overdue)> {
        overdue(&self.theirs, above, now)
    }

    /// The next deadline that still matters.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        sooner(first_end(&self.ours), first_end(&self.theirs))
    }

    /// The bodies of a live exchange, whoever opened it.
    pub(crate) fn bodies(&mut self, id: u64) -> Option<&mut Bodies> {
        let bodies = if self.is_ours(id) { &mut self.ours(id)?.bodies } else { &mut self.theirs(id)?.bodies };
        bodies.as_deref_mut()
    }

    /// The credit of what comes in a live exchange: of a subscription's publications, or of the other side's body.
    pub(crate) fn receive_credit(&mut self, id: u64) -> Option<&mut ReceiveCredit> {
        if !self.is_ours(id) {
            return self.bodies(id)?.inbound.as_mut();
        }
        let opened = self.ours(id)?;
        match &mut opened.kind {
            OpenedKind::Subscription(subscription) => Some(&mut subscription.receive_credit),
            OpenedKind::Open | OpenedKind::Request => opened.bodies.as_mut()?.inbound.as_mut(),
        }
    }

    /// Whether this side still takes what comes, so that it gives new credit.
    pub(crate) fn is_wanted(&mut self, id: u64) -> bool {
        if self.is_ours(id) {
            return self.ours(id).is_some_and(|opened| opened.cancel == Cancel::No && !opened.ended);
        }
        self.theirs(id).is_some_and(|taken| taken.is_owed() && taken.stop_body == Cancel::No)
    }

    /// Whether the peer is asked to stop: an exchange of ours, or its body in one of theirs.
    pub(crate) fn cancel_mut(&mut self, id: u64) -> Option<&mut Cancel> {
        if self.is_ours(id) {
            return self.ours(id).map(|opened| &mut opened.cancel);
        }
        self.theirs(id).map(|taken| &mut taken.stop_body)
    }

    /// Whether the line of what is due has a live exchange.
    pub(crate) fn due_mut(&mut self, id: u64) -> Option<&mut bool> {
        if self.is_ours(id) {
            return self.ours(id).map(|opened| &mut opened.due);
        }
        self.theirs(id).map(|taken| &mut taken.due)
    }

    /// This side's body of a live exchange, until its end has left.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) fn outbound(&mut self, id: u64) -> Option<&mut Outbound> {
        self.bodies(id)?.outbound.as_mut()
    }

    /// Bytes of heap in bodies that wait to be sent.
    pub(crate) fn body_capacity(&self) -> usize {
        outbound_capacity(&self.ours) + outbound_capacity(&self.theirs)
    }

    /// Whether this was ever an exchange.  EXC-3
    pub(crate) fn check_opened(&self, id: u64) -> Result<(), PeerMisbehaved> {
        let known = if self.is_ours(id) { self.highest_sealed } else { self.highest_taken };
        if id == 0 || id > known { Err(PeerMisbehaved::UnknownExchange(id)) } else { Ok(()) }
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

/// Where a table has an exchange.  Ids of one opener differ by two, and most exchanges are opened and ended one behind the
/// other: mostly it is where it would be if there were no gaps behind it, or it was the oldest and has ended.
#[cfg_attr(not(target_os = "none"), inline)]
fn place_of<R: Record>(table: &VecDeque<R>, id: u64) -> Option<usize> {
    // Where flash is scarce tables are short, and nothing is guessed.
    if cfg!(not(target_os = "none")) {
        let newer = table.back()?.id().checked_sub(id)? / 2;
        let guess = usize::try_from(newer).ok().and_then(|newer| (table.len() - 1).checked_sub(newer));
        if let Some(at) = guess
            && table.get(at).is_some_and(|record| record.id() == id)
        {
            return Some(at);
        }
        if table.front()?.id() > id {
            return None;
        }
    }
    let at = from(table, id);
    table.get(at).filter(|record| record.id() == id).map(|_| at)
}

/// Where the ids of a table begin that are not below this one.
#[cfg_attr(target_os = "none", inline(never))]
fn from<R: Record>(table: &VecDeque<R>, id: u64) -> usize {
    let (mut low, mut high) = (0, table.len());
    while low < high {
        let middle = low.midpoint(high);
        if table.get(middle).is_some_and(|record| record.id() < id) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    low
}

/// Takes an exchange out of its table.
fn take_out<R>(table: &mut VecDeque<R>, at: usize) -> Option<R> {
    if cfg!(not(target_os = "none")) {
        return table.remove(at);
    }
    // Where flash is scarce tables are short: those before it move up one by one, which is a third of the code.
    (0..at).rev().for_each(|before| table.swap(before, before + 1));
    table.pop_front()
}

/// Appends an exchange to a line of those of which somebody is to be told.  Before it grows those leave it that have ended:
/// whoever never asks keeps no more than there are exchanges.
pub(crate) fn line_up(line: &mut VecDeque<u64>, id: u64, stands: &mut dyn FnMut(u64) -> bool) {
    if line.len() == line.capacity() {
        for _ in 0..line.len() {
            if let Some(id) = line.pop_front().filter(|id| stands(*id)) {
                line.push_back(id);
            }
        }
    }
    line.push_back(id);
}

/// The first exchange above this id whose time is over, or which has stalled.
fn overdue<R: Record>(table: &VecDeque<R>, above: u64, now: Instant) -> Option<(u64, Overdue)> {
    let mut place = from(table, above.saturating_add(1));
    while let Some(record) = table.get(place) {
        match record.ends_at() {
            Some((at, why)) if at <= now => return Some((record.id(), why)),
            _ => place += 1,
        }
    }
    None
}

/// When the first of a table ends for want of time, or of movement.
fn first_end<R: Record>(table: &VecDeque<R>) -> Option<Instant> {
    let mut first = None;
    for record in table {
        first = sooner(first, record.ends_at().map(|(at, _)| at));
    }
    first
}

/// Bytes of heap in bodies of a table that wait to be sent.
fn outbound_capacity<R: Record>(table: &VecDeque<R>) -> usize {
    let mut capacity = 0;
    for record in table {
        let outbound = record.bodies().and_then(|bodies| bodies.outbound.as_ref());
        capacity += outbound.map_or(0, Outbound::capacity);
    }
    capacity
}
