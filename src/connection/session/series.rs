//! Publications of one topic that come one behind the other in a frame: what they begin with is looked at once. What they
//! lead to is what [`on_publication`](Session::on_publication) does; this is a shorter way there.  SPEC §9, §14

use super::Session;
use crate::connection::credit::cost_of;
use crate::connection::event::Following;
use crate::connection::reader::Span;
use crate::publication::Missed;
use crate::wire::message::{self as wire, Message, Point};

/// What a publication began with, and what that says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    /// All up to its number, in the reader's unit.
    beginning: Span,
    id: u64,
    epoch: u32,
    missed: Missed,
    retained: bool,
}

impl Series {
    /// That of the message with which `rest` begins, in this unit, if it can have one.
    pub(super) fn of(unit: &[u8], rest: &[u8], message: &Message<'_>) -> Option<Self> {
        let Message::Publication(first) = message else { return None };
        let wire::Publication { id, missed: count, unknown, retained, point, .. } = *first;
        Some(Self {
            beginning: Span::of(unit, first.beginning_in(rest)?),
            id,
            epoch: point.epoch,
            missed: Missed { count, unknown },
            retained,
        })
    }
}

impl Session {
    /// The next publication, where it begins as the one before it did, of which the application was told.  What is wrong
    /// with it, and what is told of nothing, is left to the way that all messages take.
    pub(crate) fn poll_following<'a>(&mut self, unit: &'a [u8]) -> Option<Following<'a>> {
        let series = self.plaintext.series.filter(|_| !self.holds)?;
        let Series { beginning, id, epoch, missed, retained } = series;
        let rest = unit.get(self.plaintext.at..self.plaintext.end)?;
        let (sequence, body, len) = wire::Publication::decode_alike(rest, beginning.in_unit(unit))?;
        let cost = cost_of(len);
        let opened = self.exchanges.ours(id).filter(|opened| opened.answering && !opened.given_up)?;
        let subscription = opened.subscription().filter(|subscription| subscription.coming.is_none())?;
        if !subscription.receive_credit.spend(cost) {
            return None;
        }
        self.plaintext.at += len;
        Some(Following { point: Point { epoch, sequence }, missed, retained, body, cost })
    }
}
