//! Subscriptions of ours: what they take, and the credit that they give.  SPEC §11, §14

use super::Session;
use super::incoming::{Outcome, event};
use crate::connection::exchanges::{Coming, OpenedKind, Subscription};
use crate::connection::pending::Pending;
use crate::connection::queue::OnSeal;
use crate::connection::reader::Span;
use crate::error::{PeerMisbehaved, SendError};
use crate::name;
use crate::publication::{Missed, SubscribeOptions};
use crate::wire::message::{Continuation, Message, Publication};

impl Session {
    pub(crate) fn subscribe(&mut self, filter: &str, options: &SubscribeOptions) -> Result<u64, SendError> {
        let SubscribeOptions { window, largest, from, .. } = *options;
        self.check_opening()?;
        name::check_filter(filter)?;
        // PUB-4
        if from.is_some() && name::has_wildcards(filter) {
            return Err(SendError::PointWithWildcards);
        }
        let most = self.limits.subscriptions_out.min(self.theirs.max_subscriptions);
        if most == 0 {
            return Err(SendError::NoneTaken);
        }
        if self.exchanges.our_subscriptions() >= most {
            return Err(SendError::TooMany);
        }
        let limit = u64::from(window);
        let len = Message::Subscribe { id: u64::MAX, limit, filter, from }.encoded_len();
        self.check_call(len)?;
        let record = self.exchanges.new_subscription(filter, window, largest);
        let id = self.exchanges.open(None, OpenedKind::Subscription(record), None);
        self.calls.push(OnSeal::Subscribe, id, &Message::Subscribe { id, limit, filter, from }.measured());
        Ok(id)
    }

    pub(super) fn on_publication(
        &mut self,
        unit: &[u8],
        publication: Publication<'_>,
        cost: u32,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let Publication { id, missed, unknown, retained, topic, point, chunk, total } = publication;
        let Some((subscription, given_up)) = self.spend(id, cost)? else { return Ok(None) };
        // PUB-7
        if subscription.coming.is_some() {
            return Err(PeerMisbehaved::State(id));
        }
        // NAM-3
        if !name::covers(&subscription.filter, subscription.wildcards, topic) {
            return Err(PeerMisbehaved::Topic(id));
        }
        let missed = Missed { count: missed, unknown };
        let mut whole = None;
        if let Some(total) = total {
            let rest = total.checked_sub(chunk.len() as u64).ok_or(PeerMisbehaved::Chunks(id))?;
            let taken = |total: &u32| (1..=subscription.largest).contains(&(*total).max(1));
            whole = u32::try_from(total).ok().filter(taken).filter(|_| !given_up);
            subscription.coming = Some(Coming { rest, wanted: whole.is_some() });
            if whole.is_some() {
                subscription.receive_credit.lend(cost);
            } else {
                subscription.receive_credit.release(cost);
            }
            self.grant(id);
            if whole.is_none() && !given_up {
                // Longer than this side takes: counted, not lost silently.  SPEC §14.5
                let mut missed = missed;
                missed.add(1);
                return event(Pending::Missed { id, missed }, told);
            }
        }
        if given_up {
            return Ok(None);
        }
        let publication = Pending::Publication {
            id,
            topic: Span::of(unit, topic.as_bytes()),
            point,
            missed,
            retained,
            body: Span::of(unit, chunk),
            cost,
            total: whole,
        };
        event(publication, told)
    }

    pub(super) fn on_continuation(
        &mut self,
        unit: &[u8],
        continuation: Continuation<'_>,
        cost: u32,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let Continuation { id, more, abort, chunk } = continuation;
        if abort && (more || !chunk.is_empty()) {
            return Err(PeerMisbehaved::AbortForm);
        }
        let Some((subscription, given_up)) = self.spend(id, cost)? else { return Ok(None) };
        // PUB-7, PUB-6
        let Coming { rest, wanted } = subscription.coming.ok_or(PeerMisbehaved::State(id))?;
        let rest = rest.checked_sub(chunk.len() as u64).ok_or(PeerMisbehaved::Chunks(id))?;
        if rest > 0 && !more && !abort {
            return Err(PeerMisbehaved::Chunks(id));
        }
        subscription.coming = more.then_some(Coming { rest, wanted });
        if wanted {
            subscription.receive_credit.lend(cost);
        } else {
            subscription.receive_credit.release(cost);
        }
        if abort {
            subscription.receive_credit.give_back();
        } else if !more {
            subscription.receive_credit.complete();
        }
        self.grant(id);
        if given_up || !wanted {
            return Ok(None);
        }
        if abort {
            return event(Pending::Aborted { id }, told);
        }
        event(Pending::Continuation { id, chunk: Span::of(unit, chunk), cost, more }, told)
    }

    pub(super) fn on_missed(&mut self, id: u64, missed: Missed, told: &mut Option<Pending>) -> Outcome {
        let Some(opened) = self.exchanges.ours_or_stray(id)? else { return Ok(None) };
        if !opened.answering || !opened.is_subscription() {
            return Err(PeerMisbehaved::State(id));
        }
        if opened.given_up || !missed.is_any() {
            return Ok(None);
        }
        event(Pending::Missed { id, missed }, told)
    }

    /// Spends a subscription's credit.  SPEC §11 CRD-3
    fn spend(&mut self, id: u64, cost: u32) -> Result<Option<(&mut Subscription, bool)>, PeerMisbehaved> {
        let Some(opened) = self.exchanges.ours_or_stray(id)? else { return Ok(None) };
        let given_up = opened.given_up;
        let (true, Some(subscription)) = (opened.answering, opened.subscription()) else {
            return Err(PeerMisbehaved::State(id));
        };
        if !subscription.receive_credit.spend(cost) {
            return Err(PeerMisbehaved::CreditExceeded(id));
        }
        Ok(Some((subscription, given_up)))
    }
}
