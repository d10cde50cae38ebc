//! Requests of the peer's, and what their handlers do.

use std::time::Duration;

use symbolon::{ExchangeId, SendError, Status, StopCause};

use super::{Context, Talk};
use crate::content::{self, Part};
use crate::counts::Kind;
use crate::device::Serve;
use crate::ledger::Said;

/// What a handler is about to do.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Busy,
    /// A body in chunks, where one is asked for.
    More,
    Reply,
    Status(Status),
}

#[derive(Debug)]
pub struct Serving {
    tag: u64,
    plan: Plan,
    /// When the handler answers; never, as long as the workload goes on.
    at: Option<u64>,
    /// Only when the request's body has ended.
    patient: bool,
    /// The other side's body goes on.
    coming: bool,
    heard: usize,
    /// The handler wants no more of it.
    stopped: bool,
    /// It was answered, or the answer is owed.
    answered: bool,
    /// How long the answer's body is that goes on, and how much of it was written.
    back: Option<usize>,
    written: usize,
    slow: bool,
}

impl Serving {
    pub fn is_over(&self) -> bool {
        self.answered && self.back.is_none()
    }
}

/// An answer that found no room yet.
#[derive(Debug)]
pub enum Owed {
    Busy(ExchangeId),
    More(ExchangeId),
    Response(ExchangeId, Status, usize),
}

impl Owed {
    fn id(&self) -> ExchangeId {
        let (Self::Busy(id) | Self::More(id) | Self::Response(id, ..)) = self;
        *id
    }
}

impl Talk {
    pub(super) fn on_request(
        &mut self,
        context: &mut Context<'_>,
        id: ExchangeId,
        method: &str,
        head: &[u8],
        coming: bool,
    ) {
        let peer = self.connection.peer().expect("a peer that asks");
        let tag = context.ledger.see(context.device.id, method, head);
        assert_eq!(context.ledger.asked[tag as usize].asker, peer, "request {tag} is another's");
        let routed = context.device.router.route(peer, method).copied();
        let (plan, at) = match routed {
            Ok(Serve::Plain) if coming => (Plan::Status(Status::UNSUPPORTED), Some(context.now)),
            Ok(serve) => some_plan(context, serve),
            Err(status) => {
                context.ledger.count(if status == Status::DENIED { Kind::Denied } else { Kind::NotFound });
                (Plan::Status(status), Some(context.now))
            }
        };
        let rng = &mut *context.rng;
        let serving = Serving {
            tag,
            plan,
            at,
            patient: rng.percent(50),
            coming,
            heard: 0,
            stopped: false,
            answered: false,
            back: None,
            written: 0,
            slow: rng.percent(20),
        };
        assert!(self.serving.insert(id, serving).is_none(), "exchange {id} again");
    }

    pub(super) fn on_data_of_request(&mut self, context: &mut Context<'_>, id: ExchangeId, chunk: &[u8]) {
        let serving = self.serving.get_mut(&id).expect("data of a request");
        assert!(serving.coming, "data of {id}, which has ended");
        context.ledger.hear(serving.tag, Part::Out, serving.heard, chunk);
        serving.heard += chunk.len();
    }

    pub(super) fn on_end_of_request(&mut self, context: &mut Context<'_>, id: ExchangeId, status: Status) {
        let serving = self.serving.get_mut(&id).expect("the end of a request's body");
        assert!(serving.coming, "{id} has ended twice");
        serving.coming = false;
        // SPEC §10.5: what crosses the wish to get no more is discarded, and so may be the rest of a body that has ended
        // in order.  Its handler knows that it has not heard all.
        if !serving.stopped {
            context.ledger.end_body(serving.tag, Part::Out, serving.heard, status);
        }
    }

    /// The asker has given up, or time has.
    pub(super) fn on_stop(&mut self, context: &mut Context<'_>, id: ExchangeId, cause: StopCause) {
        context.ledger.count(match cause {
            StopCause::Cancel(_) => Kind::CancelledAtServer,
            StopCause::Deadline => Kind::DeadlinePassedAtServer,
            StopCause::Stalled => Kind::StalledAtServer,
        });
        let Some(serving) = self.serving.get_mut(&id) else {
            assert!(self.served.contains(&id), "{id} is stopped, and was never asked");
            return;
        };
        match cause {
            StopCause::Cancel(_) => {
                if serving.back.take().is_some() {
                    if let Some(owed) = self.calls.iter_mut().find(|owed| owed.id() == id) {
                        // Not begun yet.
                        *owed = Owed::Response(id, Status::CANCELLED, 0);
                    } else {
                        // EXC-13
                        let _ = self.connection.reset(id, Status::CANCELLED);
                    }
                } else if !serving.answered {
                    serving.answered = true;
                    self.calls.push_back(Owed::Response(id, Status::CANCELLED, 0));
                }
            }
            StopCause::Deadline | StopCause::Stalled => {
                (serving.answered, serving.back) = (true, None);
                self.calls.retain(|owed| owed.id() != id);
            }
        }
    }

    /// Answers what is to be answered now, and pays what is owed; whether anything moved.
    pub(super) fn serve(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        for (id, serving) in &mut self.serving {
            let due = context.calm || serving.at.is_some_and(|at| at <= context.now);
            if serving.answered || !due || (serving.patient && serving.coming) {
                continue;
            }
            let asked = &context.ledger.asked[serving.tag as usize];
            (serving.answered, moved) = (true, true);
            self.calls.push_back(match serving.plan {
                Plan::Busy => Owed::Busy(*id),
                Plan::More if asked.back.is_some() => {
                    serving.back = asked.back;
                    Owed::More(*id)
                }
                Plan::More | Plan::Reply => Owed::Response(*id, Status::OK, asked.reply),
                Plan::Status(status) => Owed::Response(*id, status, 0),
            });
        }
        while let Some(owed) = self.calls.pop_front() {
            if self.pay_call(context, &owed) == Err(SendError::Full) {
                self.calls.push_front(owed);
                break;
            }
            moved = true;
        }
        self.serving.retain(|id, serving| {
            let over = serving.is_over() && !serving.coming && self.calls.iter().all(|owed| owed.id() != *id);
            if over {
                self.served.insert(*id);
            }
            !over
        });
        moved
    }

    fn pay_call(&mut self, context: &mut Context<'_>, owed: &Owed) -> Result<(), SendError> {
        let (id, local) = (owed.id(), context.local());
        let tag = self.serving[&id].tag;
        let said = match *owed {
            Owed::Busy(_) => {
                let retry = Duration::from_millis(context.rng.between(0, 5_000));
                self.connection.respond_busy(id, retry).map(|()| Said::Busy)
            }
            Owed::More(_) => self.connection.respond_more(local, id, b"").map(|()| Said::More),
            Owed::Response(_, status, len) => {
                let body = content::bytes(tag, Part::Reply, 0, len);
                match self.connection.respond(id, status, body) {
                    Err(SendError::TooLarge { .. }) => {
                        let status = Status::TOO_LARGE;
                        self.connection.respond(id, status, b"").map(|()| Said::Status(status))
                    }
                    done => done.map(|()| Said::Status(status)),
                }
            }
        };
        if said.is_err_and(|error| error != SendError::Full)
            && let Some(serving) = self.serving.get_mut(&id)
        {
            // It was answered by its deadline, and the event that says so waits; or all ends.
            serving.back = None;
        }
        let said = said?;
        context.ledger.tell(context.now, || format!("request {tag} is answered: {said:?}"));
        let before = context.ledger.asked[tag as usize].said.replace(said);
        assert_eq!(before, None, "request {tag} is answered twice");
        Ok(())
    }

    /// Writes as much of the answers' bodies as there is room for; whether anything was written.
    fn write_answers(&mut self, context: &mut Context<'_>, slow_ones: bool) -> bool {
        let mut moved = false;
        for (id, serving) in &mut self.serving {
            let begun = !self.calls.iter().any(|owed| owed.id() == *id);
            let Some(len) = serving.back.filter(|_| begun && (slow_ones || !serving.slow)) else { continue };
            while serving.written < len {
                let bytes = content::bytes(serving.tag, Part::Back, serving.written, len - serving.written);
                let Ok(taken) = self.connection.write(*id, bytes) else { break };
                serving.written += taken;
                moved |= taken > 0;
            }
            if serving.written == len && self.connection.finish(*id).is_ok() {
                context.ledger.asked[serving.tag as usize].back_finished = true;
                (serving.back, moved) = (None, true);
            }
        }
        moved
    }

    pub(super) fn write_bodies(&mut self, context: &mut Context<'_>, slow_ones: bool) -> bool {
        while self.connection.poll_writable().is_some() {}
        self.write_requests(context, slow_ones) | self.write_answers(context, slow_ones)
    }

    /// A handler wants no more of a body, or gives its own up.
    pub(super) fn stop_some(&mut self, context: &mut Context<'_>) {
        let Some(id) = context.rng.pick(self.serving.keys().copied()) else { return };
        let Some(serving) = self.serving.get_mut(&id) else { return };
        let status = context.rng.of(&[Status::OK, Status::new(300)]);
        if serving.back.is_some() && self.connection.reset(id, status).is_ok() {
            serving.back = None;
        } else if serving.coming {
            serving.stopped |= self.connection.cancel_with(id, status).is_ok();
        }
    }

    pub(super) fn next_answer(&self) -> Option<u64> {
        let done = |serving: &Serving| serving.answered || (serving.patient && serving.coming);
        self.serving.values().filter(|serving| !done(serving)).filter_map(|serving| serving.at).min()
    }
}

fn some_plan(context: &mut Context<'_>, serve: Serve) -> (Plan, Option<u64>) {
    let rng = &mut *context.rng;
    let plan = match rng.below(12) {
        0 => Plan::Busy,
        1 => Plan::Status(Status::new(300)),
        _ if serve == Serve::Chunks && rng.percent(90) => Plan::More,
        _ => Plan::Reply,
    };
    let late = match rng.below(12) {
        0..=6 => Some(0),
        7 | 8 => Some(rng.between(1, 500)),
        9 => Some(rng.between(1, 10_000)),
        10 => Some(rng.between(1, 100_000)),
        _ => None,
    };
    (plan, late.map(|millis| context.now + millis * 1_000))
}
