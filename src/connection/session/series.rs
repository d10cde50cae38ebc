//! Publications of one topic that come one behind the other in a frame: what they begin with is looked at once. What they
//! lead to is what [`on_publication`](Session::on_publication) does; this is a shorter way there.  SPEC §9, §14

use super::Session;
use super::incoming::{Outcome, cost_of, event};
use crate::connection::pending::Pending;
use crate::connection::reader::Span;
use crate::publication::Missed;
use crate::wire::message::{Message, Point, Publication};

/// What a publication began with, and what that says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series {
    /// All up to its number, in the reader's unit.
    beginning: Span,
    id: u64,
    topic: Span,
    epoch: u32,
    missed: Missed,
    retained: bool,
}

impl Series {
    /// That of the message with which `rest` begins, in this unit, if it can have one.
    pub(super) fn of(unit: &[u8], rest: &[u8], message: &Message<'_>) -> Option<Self> {
        let Message::Publication(first) = message else { return None };
        let Publication { id, missed: count, unknown, retained, topic, point, .. } = *first;
        Some(Self {
            beginning: Span::of(unit, first.beginning_in(rest)?),
            id,
            topic: Span::of(unit, topic.as_bytes()),
            epoch: point.epoch,
            missed: Missed { count, unknown },
            retained,
        })
    }
}

impl Session {
    /// Takes the message with which `rest` begins, if it is a publication that begins as the one before it did.
    pub(super) fn receive_alike(
        &mut self,
        unit: &[u8],
        rest: &[u8],
        told: &mut Option<Pending>,
    ) -> Option<Outcome> {
        let series = self.plaintext.series?;
        let (sequence, chunk, len) = Publication::decode_alike(rest, series.beginning.in_unit(unit))?;
        self.plaintext.at += len;
        Some(self.on_alike(&series, sequence, Span::of(unit, chunk), cost_of(len), told))
    }

    /// Its name needs no look: the one before had it, in the same subscription.  NAM-3
    fn on_alike(
        &mut self,
        series: &Series,
        sequence: u64,
        body: Span,
        cost: u32,
        told: &mut Option<Pending>,
    ) -> Outcome {
        let Series { id, topic, epoch, missed, retained, .. } = *series;
        let Some((_, given_up)) = self.spend_on_publication(id, cost)? else { return Ok(None) };
        if given_up {
            return Ok(None);
        }
        let point = Point { epoch, sequence };
        event(Pending::Publication { id, topic, point, missed, retained, body, cost, total: None }, told)
    }
}
