//! Answers the requests that come in on one connection, or one after the other on a line.
//!
//! An event is lent by the connection, so what it asks for is noted first, in [`Server::handle`], and done when the
//! connection can be commanded again, in [`Server::carry_out`].

use core::future::pending;

use embassy_time::{Duration, Instant, Timer};
use symbolon::embassy::{Responder, Step};
use symbolon::{Connection, Event, ExchangeId, Request, SendError, Status, StopCause};

use crate::app::{self, App};
use crate::board::{self, heap, stack};
use crate::calling::{Order, Orders};
use crate::image::{Incoming, Outgoing};
use crate::messages::{Measurement, ReadSensor, ReadStats, ReadWeather, Stats};

/// The longest answer: no request is longer, and `echo` gives back what it got.
pub const ANSWER_LEN: usize = app::FRAME as usize;
/// The type of a map, in the first three bits of its first byte.  RFC 8949, section 3.1
const CBOR_MAP: u8 = 5;
/// How soon an answer is tried again that found no room.
const RETRY: Duration = Duration::from_millis(5);

/// What is to be done on one connection.
pub struct Server<'a> {
    app: &'a App,
    /// The bytes of the answer that is given next, or that waits for room.
    bytes: &'a mut [u8; ANSWER_LEN],
    answer: Option<(ExchangeId, Answer)>,
    /// Somebody asked while an answer waited for room.
    busy: Option<ExchangeId>,
    /// Bytes of a body were taken, which gives credit for more.
    taken: Option<(ExchangeId, u32)>,
    /// The connection is to be told to call somebody.
    order: Option<(ExchangeId, Order)>,
    incoming: Option<Incoming>,
    outgoing: Option<Outgoing>,
    /// How many allocations there had been when the connection came to stand.
    allocations: u32,
}

/// An answer: its status, and how many of the bytes it has.
#[derive(Clone, Copy)]
struct Answer {
    status: Status,
    len: usize,
    /// It goes on with an image.
    more: bool,
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self { status, len: 0, more: false }
    }
}

impl<'a> Server<'a> {
    /// Nothing is to be done yet.  Answers are put together in `bytes`.
    pub fn new(app: &'a App, bytes: &'a mut [u8; ANSWER_LEN]) -> Self {
        Self {
            app,
            bytes,
            answer: None,
            busy: None,
            taken: None,
            order: None,
            incoming: None,
            outgoing: None,
            allocations: 0,
        }
    }

    /// Notes what a step asks for.
    pub fn handle(&mut self, step: Step<'_>) {
        // Where a body has room again there is nothing to note: all that go out are looked at anyway.
        let Step::Event(event) = step else { return };
        match event {
            Event::Connected { .. } => {
                self.app.accepted.set(self.app.accepted.get() + 1);
                self.allocations = heap::usage().allocations;
            }
            Event::Request { id, .. } if self.answer.is_some() => self.busy = Some(id),
            Event::Request { id, method, body, more, .. } => {
                self.answer = self.request(id, method, body, more).map(|answer| (id, answer));
            }
            Event::Data { id, chunk, cost } => {
                if let Some(incoming) = self.incoming.as_mut().filter(|incoming| incoming.id == id) {
                    incoming.take(chunk);
                }
                self.taken = Some((id, cost));
            }
            Event::End { id, status } => self.body_ended(id, status),
            Event::Stop { id, cause } => self.stop(id, cause),
            // The next connection of a line begins with nothing to do.
            Event::Closed { .. } => self.forget(),
            _ => {}
        }
    }

    fn forget(&mut self) {
        (self.answer, self.busy, self.taken) = (None, None, None);
        (self.order, self.incoming, self.outgoing) = (None, None, None);
    }

    /// Does what was noted.
    pub fn carry_out(&mut self, connection: &mut Connection) {
        if let Some((id, cost)) = self.taken.take() {
            // Refused where the body has ended: there is nothing more to give credit for.
            let _ended = connection.release(id, cost);
        }
        if let Some(id) = self.busy.take()
            && connection.respond_busy(id, core::time::Duration::from_millis(100)) == Err(SendError::Full)
        {
            // It asks on and reads no answers.  There is no memory to bear that with.
            connection.close(now(), Status::UNAVAILABLE);
        }
        if let Some((id, answer)) = self.answer {
            self.answer = match self.respond(connection, id, answer) {
                Err(SendError::Full) => Some((id, answer)),
                Err(SendError::TooLarge { .. }) => Some((id, Status::TOO_LARGE.into())),
                // Otherwise nobody waits any more.
                _ => None,
            };
        }
        if self.answer.is_none()
            && let Some(outgoing) = &mut self.outgoing
            && !matches!(outgoing.write(connection), Ok(false))
        {
            self.outgoing = None;
        }
    }

    fn respond(&self, connection: &mut Connection, id: ExchangeId, answer: Answer) -> Result<(), SendError> {
        let body = &self.bytes[..answer.len];
        if answer.more {
            return connection.respond_more(now(), id, body);
        }
        connection.respond(id, answer.status, body)
    }

    /// Ready when something that was noted should be tried again; usually never.
    pub async fn retry(&self) {
        match self.answer {
            Some(_) => Timer::after(RETRY).await,
            None => pending().await,
        }
    }

    /// Passes on what is for the task that calls, with whom to tell.
    pub fn pass_on<'d>(&mut self, orders: &Orders<'d>, responder: impl FnOnce(ExchangeId) -> Responder<'d>) {
        let Some((id, order)) = self.order.take() else { return };
        if orders.try_send((responder(id), order)).is_err() {
            self.answer_with(id, Status::UNAVAILABLE);
        }
    }

    /// Answers with this status alone.
    fn answer_with(&mut self, id: ExchangeId, status: Status) {
        self.answer = Some((id, status.into()));
    }

    /// The answer to a request; none, if it is given later.
    fn request(&mut self, id: ExchangeId, method: &str, body: &[u8], more: bool) -> Option<Answer> {
        match method {
            "echo" => Some(self.bytes(body)),
            "lamp/set" => Some(self.set_lamp(body)),
            ReadSensor::METHOD => Some(self.typed::<ReadSensor>(body, measurement())),
            ReadStats::METHOD => Some(self.typed::<ReadStats>(body, self.stats())),
            ReadWeather::METHOD => Some(self.typed::<ReadWeather>(body, self.app.weather.get())),
            "board/ticks" => Some(self.with_number(body, |app, count| app.ticks.signal(count))),
            "board/sleep" => {
                Some(self.with_number(body, |_, ms| board::stall(Duration::from_millis(ms.into()))))
            }
            "board/reboot" => {
                self.app.reboot.signal(());
                Some(Status::OK.into())
            }
            "board/call" => self.order(id, body),
            "image/put" => self.begin_incoming(id, body, more),
            "image/get" => Some(self.begin_outgoing(id, body)),
            _ => Some(Status::NOT_FOUND.into()),
        }
    }

    fn set_lamp(&mut self, body: &[u8]) -> Answer {
        let &[state @ (0 | 1)] = body else { return Status::BAD_REQUEST.into() };
        self.app.set_lamp(state == 1);
        self.bytes(body)
    }

    /// For methods that take a number and give nothing.
    fn with_number(&self, body: &[u8], run: impl FnOnce(&App, u32)) -> Answer {
        let Ok(number) = body.try_into() else { return Status::BAD_REQUEST.into() };
        run(self.app, u32::from_be_bytes(number));
        Status::OK.into()
    }

    fn order(&mut self, id: ExchangeId, body: &[u8]) -> Option<Answer> {
        let Some(order) = Order::new(body) else { return Some(Status::BAD_REQUEST.into()) };
        self.order = Some((id, order));
        None
    }

    fn begin_incoming(&mut self, id: ExchangeId, head: &[u8], more: bool) -> Option<Answer> {
        // One at a time; whoever comes second is told to come again.
        if self.incoming.is_some() {
            return Some(Status::UNAVAILABLE.into());
        }
        let Some(mut incoming) = Incoming::new(id, head) else { return Some(Status::BAD_REQUEST.into()) };
        if !more {
            return Some(self.bytes(&incoming.finish()));
        }
        self.incoming = Some(incoming);
        None
    }

    fn begin_outgoing(&mut self, id: ExchangeId, head: &[u8]) -> Answer {
        if self.outgoing.is_some() {
            return Status::UNAVAILABLE.into();
        }
        let Some(outgoing) = Outgoing::new(id, head) else { return Status::BAD_REQUEST.into() };
        let answer = self.bytes(&outgoing.hash());
        self.outgoing = Some(outgoing);
        Answer { more: true, ..answer }
    }

    /// The body of a request has ended; only now there is something to answer.
    fn body_ended(&mut self, id: ExchangeId, status: Status) {
        let Some(mut incoming) = self.incoming.take_if(|incoming| incoming.id == id) else { return };
        let answer = if status.is_ok() { self.bytes(&incoming.finish()) } else { Status::CANCELLED.into() };
        self.answer = Some((id, answer));
    }

    /// Nobody waits any more for what is going on; but where it was cancelled, an answer is still owed.
    fn stop(&mut self, id: ExchangeId, cause: StopCause) {
        let incoming = self.incoming.take_if(|incoming| incoming.id == id).is_some();
        let outgoing = self.outgoing.take_if(|outgoing| outgoing.id == id).is_some();
        if (incoming || outgoing) && matches!(cause, StopCause::Cancel(_)) {
            self.answer_with(id, Status::CANCELLED);
        }
    }

    fn stats(&self) -> Stats {
        let heap = heap::usage();
        Stats {
            heap_live: heap.live,
            heap_peak: heap.peak,
            allocations: heap.allocations - self.allocations,
            stack_peak: stack::peak(),
            accepted: self.app.accepted.get(),
            static_ram: stack::static_ram(),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Answer {
        let Some(place) = self.bytes.get_mut(..bytes.len()) else { return Status::TOO_LARGE.into() };
        place.copy_from_slice(bytes);
        Answer { status: Status::OK, len: bytes.len(), more: false }
    }

    /// Answers a request whose bodies have types.  The reply is encoded where it is sent from.  None of these requests has
    /// a field that is read, so it is enough that it is a map: `symbolon::from_bytes` would bring 5 KB of minicbor's
    /// decoder.
    fn typed<R: Request>(&mut self, request: &[u8], reply: R::Reply) -> Answer {
        if request.first().is_none_or(|initial| initial >> 5 != CBOR_MAP) {
            return Status::BAD_REQUEST.into();
        }
        match symbolon::to_slice(&reply, self.bytes) {
            Ok(bytes) => Answer { status: Status::OK, len: bytes.len(), more: false },
            Err(_) => Status::TOO_LARGE.into(),
        }
    }
}

fn measurement() -> Measurement {
    Measurement { millidegrees: app::temperature(), uptime: Instant::now().as_micros() }
}

/// The time, as connections count it.
fn now() -> symbolon::Instant {
    symbolon::Instant::from_micros(Instant::now().as_micros())
}
