//! Subscriptions of this side's, and the account of each.

use std::collections::BTreeMap;

use symbolon::{ExchangeId, Failure, Missed, Point, Status, SubscribeOptions, name};

use super::{Context, Talk};
use crate::common::Happened;
use crate::counts::Kind;
use crate::device::FILTERS;
use crate::ledger::{Account, Ledger};

#[derive(Debug)]
pub struct Inbox {
    window: u32,
    from: Option<Point>,
    accepted: bool,
    account: Account,
    /// Nothing was heard yet.
    fresh: bool,
    /// The newest of each topic.
    newest: BTreeMap<String, Point>,
    coming: Option<Coming>,
}

/// A publication that goes on.
#[derive(Debug)]
struct Coming {
    topic: String,
    point: Point,
    total: usize,
    got: usize,
    /// What it cost, to be released once all of it was taken.
    costs: Vec<u32>,
}

impl Talk {
    pub(super) fn subscribe(&mut self, context: &mut Context<'_>) {
        let rng = &mut *context.rng;
        let filter = rng.of(&FILTERS);
        let peer = self.connection.peer();
        let had = peer.and_then(|peer| context.device.had.get(&(peer, filter.to_owned())).copied());
        let from = had.filter(|_| !name::has_wildcards(filter) && rng.percent(80));
        let mut options = SubscribeOptions::default();
        // Long ones take many round trips through small windows.
        let windows = [180, 400, 3_000, 65_536, 1 << 20];
        options.window = rng.of(if context.device.longest_news > 5_000 { &windows[2..] } else { &windows });
        options.largest = rng.of(&[0, 1_000, 1 << 20]);
        options.from = from;
        let Ok(id) = self.connection.subscribe_with(filter, &options) else {
            context.ledger.count(Kind::RefusedCommand);
            return;
        };
        let inbox = Inbox {
            window: options.window,
            from,
            accepted: false,
            account: Account::default(),
            fresh: true,
            newest: BTreeMap::new(),
            coming: None,
        };
        self.inboxes.insert(id, inbox);
    }

    pub(super) fn hear_inbox(&mut self, context: &mut Context<'_>, event: Happened) {
        match event {
            Happened::Subscribed(id) => self.on_subscribed(context, id),
            Happened::Publication { id, topic, point, missed, retained, body, cost, total } => {
                self.miss(context.ledger, id, missed, true);
                if retained {
                    context.ledger.count(Kind::Retained);
                }
                let len = total.map_or(body.len(), |total| total as usize);
                context.ledger.receive(&topic, point, 0, &body, len);
                self.check_newer(context.ledger, id, &topic, point);
                let coming = Coming { topic, point, total: len, got: body.len(), costs: vec![cost] };
                if total.is_none() {
                    self.complete(context, id, coming);
                } else {
                    self.inbox(id).coming = Some(coming);
                }
            }
            Happened::Continuation { id, chunk, cost, more } => {
                let mut coming = self.inbox(id).coming.take().expect("a publication that goes on");
                context.ledger.receive(&coming.topic, coming.point, coming.got, &chunk, coming.total);
                coming.got += chunk.len();
                coming.costs.push(cost);
                if more {
                    self.inbox(id).coming = Some(coming);
                } else {
                    context.ledger.count(Kind::LongPublication);
                    self.complete(context, id, coming);
                }
            }
            Happened::Aborted(id) => {
                assert!(self.inbox(id).coming.take().is_some(), "{id}: nothing to give up");
                context.ledger.count(Kind::AbortedPublication);
                self.miss_one(context.ledger, id);
            }
            Happened::Missed(id, missed) => {
                if missed.count > 0 {
                    context.ledger.count(Kind::TooLongPublication);
                }
                self.miss(context.ledger, id, missed, true);
            }
            Happened::SubscriptionEnded(id, status) => self.on_inbox_ended(context, id, status),
            other => panic!("nobody waits for {other:?}"),
        }
    }

    fn inbox(&mut self, id: ExchangeId) -> &mut Inbox {
        self.inboxes.get_mut(&id).unwrap_or_else(|| panic!("subscription {id} has ended"))
    }

    fn on_subscribed(&mut self, context: &mut Context<'_>, id: ExchangeId) {
        let inbox = self.inbox(id);
        assert!(!std::mem::replace(&mut inbox.accepted, true), "{id} is accepted twice");
        let resumed = inbox.from.is_some();
        context.ledger.count(Kind::Subscribed);
        if resumed {
            let unknown = context.ledger.feeds[&self.key(id)].unknown;
            context.ledger.count(if unknown { Kind::ResumedUnknown } else { Kind::Resumed });
        }
    }

    fn check_newer(&mut self, ledger: &Ledger, id: ExchangeId, topic: &str, point: Point) {
        let key = self.key(id);
        let inbox = self.inbox(id);
        assert!(inbox.coming.is_none(), "{id}: one amid another");
        // PUB-1, and at most once in a subscription.
        let before = inbox.newest.insert(topic.to_owned(), point);
        let newer =
            before.is_none_or(|before| before.epoch == point.epoch && before.sequence < point.sequence);
        assert!(newer, "{id}: {topic} {point:?} behind {before:?}");
        // SPEC §14.4: those after the last that the subscriber has.
        let again =
            inbox.from.is_some_and(|from| from.epoch == point.epoch && point.sequence <= from.sequence);
        assert!(!again || ledger.feeds[&key].unknown, "{id}: {point:?} comes again");
    }

    fn complete(&mut self, context: &mut Context<'_>, id: ExchangeId, coming: Coming) {
        // Neither more nor less than the whole.
        assert_eq!(coming.got, coming.total, "{id}: {coming:?}");
        context.ledger.count(Kind::Received);
        if let Some(peer) = self.connection.peer() {
            context.device.had.insert((peer, coming.topic), coming.point);
        }
        self.held.extend(coming.costs.into_iter().map(|cost| (id, cost)));
        self.inbox(id).account.received += 1;
        let account = self.inbox(id).account;
        context.ledger.check_bound(self.key(id), account);
    }

    fn miss(&mut self, ledger: &mut Ledger, id: ExchangeId, missed: Missed, first: bool) {
        let key = self.key(id);
        let inbox = self.inbox(id);
        assert!(inbox.accepted, "{id} was not accepted");
        if first && std::mem::replace(&mut inbox.fresh, false) {
            ledger.hear_first(key, missed);
        } else {
            assert!(!missed.unknown, "{id}: unknown, and not the first");
        }
        if missed.unknown {
            ledger.count(Kind::UnknownMissed);
        }
        if missed.count > 0 {
            ledger.count(Kind::Missed);
        }
        inbox.account.missed += u64::from(missed.count);
        inbox.account.unknown |= missed.unknown;
        ledger.check_bound(key, inbox.account);
    }

    fn miss_one(&mut self, ledger: &mut Ledger, id: ExchangeId) {
        self.miss(ledger, id, Missed { count: 1, unknown: false }, false);
    }

    fn on_inbox_ended(&mut self, context: &mut Context<'_>, id: ExchangeId, status: Status) {
        let key = self.key(id);
        let Some(accepted) = self.inboxes.get(&id).map(|inbox| inbox.accepted) else {
            panic!("subscription {id} ends twice");
        };
        if !accepted {
            context.ledger.count(Kind::SubscriptionRefused);
            assert!(!status.is_ok(), "refused with ok");
            self.inboxes.remove(&id);
            return;
        }
        if self.inbox(id).coming.take().is_some() {
            // PUB-10: half sent, so that it counts itself.
            context.ledger.count(Kind::AbortedPublication);
            self.miss_one(context.ledger, id);
        }
        if let Some(inbox) = self.inboxes.remove(&id) {
            context.ledger.settle(key, inbox.account);
        }
    }

    pub(super) fn on_inbox_failed(&mut self, context: &mut Context<'_>, id: ExchangeId, failure: Failure) {
        let ours = failure == Failure::Cancelled;
        assert!(ours || matches!(failure, Failure::Disconnected | Failure::NotExecuted), "{failure:?}");
        let inbox = self.inboxes.remove(&id).expect("a subscription");
        if failure == Failure::NotExecuted {
            assert!(!inbox.accepted, "accepted, and not executed");
        }
        if ours {
            context.ledger.count(Kind::Unsubscribed);
        }
    }

    pub(super) fn unsubscribe_some(&mut self, context: &mut Context<'_>) {
        if let Some(id) = context.rng.pick(self.inboxes.keys().copied()) {
            let _ = self.connection.cancel(id);
        }
    }

    /// Where all has come to rest, each account is complete: what came and what was missed is all there was.
    pub(super) fn check_inboxes(&self, ledger: &mut Ledger) {
        for (id, inbox) in &self.inboxes {
            assert!(inbox.accepted && inbox.coming.is_none(), "{id}: {inbox:?}");
            // SPEC §14.5: below 172 some may never arrive, and are counted only at the end.
            if inbox.window >= 172 {
                ledger.settle(self.key(*id), inbox.account);
            }
        }
    }
}
