//! Requests of this side's.

use std::time::Duration;

use symbolon::{ExchangeId, Failure, Instant, RequestHead, Status};

use super::{Context, Talk};
use crate::content::{self, Part};
use crate::counts::Kind;
use crate::ledger::{Asked, Outcome, Said};
use crate::random::Rng;

#[derive(Debug)]
pub struct Asking {
    pub tag: u64,
    /// By this device's clock.
    deadline: Option<Instant>,
    /// How long this side's body is, how much of it was written, and whether it is over.
    out: Option<usize>,
    written: usize,
    over: bool,
    /// Written only now and then.
    slow: bool,
    heard: usize,
}

impl Talk {
    /// Asks for something; whether the connection took it.
    pub fn ask(&mut self, context: &mut Context<'_>, method: &'static str, chunks: bool) -> bool {
        let (Some(server), asker) = (self.connection.peer(), context.device.id) else { return false };
        let longest = context.device.longest_body;
        let rng = &mut *context.rng;
        let long = |rng: &mut Rng| (chunks && rng.percent(70)).then(|| rng.length(longest));
        let asked = Asked {
            asker,
            server,
            method,
            head: rng.length(300),
            out: long(rng),
            reply: rng.length(300),
            back: long(rng),
            out_finished: false,
            back_finished: false,
            seen: false,
            said: None,
            outcome: None,
        };
        let deadline = match rng.below(10) {
            _ if context.calm => Some(60_000),
            0 => Some(rng.between(1, 100)),
            1..=4 => Some(rng.between(100, 30_000)),
            _ => None,
        }
        .map(Duration::from_millis);
        let slow = rng.percent(20);
        let local = context.local();
        let body = content::head(context.ledger.asked.len() as u64, asked.head);
        let (out, more) = (asked.out, asked.out.is_some());
        let sent = if chunks {
            self.connection.open(local, &RequestHead { method, body: &body, more, deadline })
        } else {
            self.connection.request(local, method, &body, deadline)
        };
        let Ok(id) = sent else {
            context.ledger.count(Kind::RefusedCommand);
            return false;
        };
        let tag = context.ledger.ask(asked);
        let number = context.device.number;
        context.ledger.tell(context.now, || format!("device {number} asks {tag} in exchange {id}: {method}"));
        // The connection's clock stands still where this one has jumped back.
        let deadline = deadline.map(|deadline| self.latest.max(local) + deadline);
        self.asking.insert(id, Asking { tag, deadline, out, written: 0, over: false, slow, heard: 0 });
        true
    }

    fn end_asking(&mut self, id: ExchangeId) -> Asking {
        self.asking.remove(&id).unwrap_or_else(|| panic!("exchange {id} ends, and is not open"))
    }

    pub(super) fn on_busy(&mut self, context: &mut Context<'_>, id: ExchangeId) {
        let tag = self.end_asking(id).tag;
        assert_eq!(context.ledger.asked[tag as usize].said, Some(Said::Busy), "request {tag}");
        context.ledger.end(tag, Outcome::Busy);
    }

    pub(super) fn on_response(
        &mut self,
        context: &mut Context<'_>,
        id: ExchangeId,
        status: Status,
        body: &[u8],
    ) {
        let tag = self.end_asking(id).tag;
        context.ledger.answer(tag, status, body);
    }

    pub(super) fn on_response_more(&mut self, context: &mut Context<'_>, id: ExchangeId, body: &[u8]) {
        let asking = &self.asking[&id];
        let said = context.ledger.asked[asking.tag as usize].said;
        assert_eq!(said, Some(Said::More), "request {}", asking.tag);
        assert_eq!(body, b"", "another head");
    }

    pub(super) fn on_failed(&mut self, context: &mut Context<'_>, id: ExchangeId, failure: Failure) {
        let asking = self.end_asking(id);
        if failure == Failure::DeadlinePassed {
            let deadline = asking.deadline.expect("no deadline, and yet it passed");
            assert!(deadline <= self.latest, "{deadline:?} has not passed at {:?}", self.latest);
        }
        context.ledger.end(asking.tag, Outcome::Failed(failure));
    }

    /// Data of an answer; `false` where it is no exchange of ours.
    pub(super) fn on_data_of_answer(
        &mut self,
        context: &mut Context<'_>,
        id: ExchangeId,
        chunk: &[u8],
    ) -> bool {
        let Some(asking) = self.asking.get_mut(&id) else { return false };
        context.ledger.hear(asking.tag, Part::Back, asking.heard, chunk);
        asking.heard += chunk.len();
        true
    }

    pub(super) fn on_end_of_answer(
        &mut self,
        context: &mut Context<'_>,
        id: ExchangeId,
        status: Status,
    ) -> bool {
        if !self.asking.contains_key(&id) {
            return false;
        }
        let asking = self.end_asking(id);
        context.ledger.end_body(asking.tag, Part::Back, asking.heard, status);
        context.ledger.end(asking.tag, Outcome::Answered(status));
        true
    }

    pub(super) fn on_stopped(&mut self, context: &mut Context<'_>, id: ExchangeId) {
        context.ledger.count(Kind::StoppedBody);
        self.asking.get_mut(&id).expect("a request that is open").over = true;
    }

    /// Writes as much of the bodies as there is room for; whether anything was written.
    pub(super) fn write_requests(&mut self, context: &mut Context<'_>, slow_ones: bool) -> bool {
        let mut moved = false;
        for (id, asking) in &mut self.asking {
            let Some(len) = asking.out.filter(|_| !asking.over && (slow_ones || !asking.slow)) else {
                continue;
            };
            while asking.written < len {
                let bytes = content::bytes(asking.tag, Part::Out, asking.written, len - asking.written);
                // Refused where it is full, or was stopped and the event waits.
                let Ok(taken) = self.connection.write(*id, bytes) else { break };
                asking.written += taken;
                moved |= taken > 0;
            }
            if asking.written == len && self.connection.finish(*id).is_ok() {
                context.ledger.asked[asking.tag as usize].out_finished = true;
                (asking.over, moved) = (true, true);
            }
        }
        moved
    }

    pub(super) fn cancel_some(&mut self, context: &mut Context<'_>) {
        if let Some(id) = context.rng.pick(self.asking.keys().copied()) {
            let status = context.rng.of(&[Status::CANCELLED, Status::new(300)]);
            // Refused where it has ended and the event waits, or where this side is closing.
            let _ = self.connection.cancel_with(id, status);
        }
    }

    /// Gives a body of this side's up, and waits for the answer all the same.
    pub(super) fn reset_some(&mut self, context: &mut Context<'_>) {
        let status = context.rng.of(&[Status::OK, Status::new(300)]);
        if let Some(id) = context.rng.pick(self.asking.keys().copied())
            && let Some(asking) = self.asking.get_mut(&id)
            && self.connection.reset(id, status).is_ok()
        {
            asking.over = true;
        }
    }

    /// No request outlives its deadline, by the clock of who asked.  SPEC §10.4
    pub(super) fn check_deadlines(&self) {
        for (id, asking) in &self.asking {
            let overdue = asking.deadline.is_some_and(|deadline| deadline <= self.latest);
            assert!(!overdue, "exchange {id} is open behind its deadline: {asking:?}");
        }
    }
}
