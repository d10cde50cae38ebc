//! What an application may command, by one byte and an operand.

use std::time::Duration;

use symbolon::{
    ExchangeId, Instant, Missed, Outgoing, Point, RequestHead, SendError, Status, SubscribeOptions,
};

use super::side::{LARGEST, Side};

impl Side {
    /// Begins a body that is longer than a frame of the small device, goes on with one, or gives it up.
    fn publish_in_parts(&mut self, id: ExchangeId, operand: u8, news: &Outgoing<'_>) {
        let long = [0x5a; 8 * 255];
        let connection = &mut self.connection;
        let Some((len, sent)) = self.half_sent.remove(&id) else {
            let body = &long[..8 * usize::from(operand)];
            match connection.publish_first(id, &Outgoing { body, ..*news }) {
                Ok(sent) if sent < body.len() => drop(self.half_sent.insert(id, (body.len(), sent))),
                _ => {}
            }
            return;
        };
        if operand & 12 == 0 && connection.publish_abort(id).is_ok() {
            return;
        }
        self.half_sent.insert(id, (len, sent));
        self.publish_rest(id);
    }

    /// Goes on with a body that is half sent; whether anything of it has left.
    pub fn publish_rest(&mut self, id: ExchangeId) -> bool {
        let Some((len, sent)) = self.half_sent.remove(&id) else { return false };
        let rest = &[0x5a; 8 * 255][sent..len];
        let more = match self.connection.publish_next(id, rest) {
            Ok(more) => {
                assert!((1..=rest.len()).contains(&more), "a part that moves nothing on");
                more
            }
            Err(SendError::NotHalfSent) => panic!("{id} has lost what is half sent"),
            Err(SendError::UnknownExchange | SendError::Closed) => return false,
            Err(_) => 0,
        };
        if sent + more < len {
            self.half_sent.insert(id, (len, sent + more));
        }
        more > 0
    }

    /// One command of the application; its refusal is as good as its success.
    pub fn command(&mut self, now: Instant, number: usize, script: &mut &[u8]) {
        let operand = script.split_off_first().copied().unwrap_or(0);
        let body = &[0x5a; 512][..2 * usize::from(operand)];
        let of_ours = self.open.iter().nth(usize::from(operand) % self.open.len().max(1)).copied();
        let of_theirs = self.theirs.get(usize::from(operand) % self.theirs.len().max(1)).copied();
        let connection = &mut self.connection;
        match (number, of_ours, of_theirs) {
            (0, ..) => self.open.extend(connection.request(now, "a/b", body, None)),
            (1, ..) => {
                let deadline = Duration::from_millis(1 << (operand % 40));
                self.open.extend(connection.request(now, "c", b"", Some(deadline)));
            }
            (2, ..) => {
                let filter = ["a/b", "a/+", "#", "+/b", "", "a/", "a/b", "$x"][usize::from(operand % 8)];
                let from = (operand & 8 != 0).then_some(Point { epoch: 1, sequence: 2 });
                let mut options = SubscribeOptions::default();
                (options.window, options.from) = (u32::from(operand) << 4, from);
                options.largest = if operand & 16 == 0 { 0 } else { LARGEST };
                if let Ok(id) = connection.subscribe_with(filter, &options) {
                    self.open.insert(id);
                    self.subscriptions.insert(id);
                }
            }
            (3, Some(id), _) => drop(connection.cancel(id)),
            (4, Some(id), _) => drop(connection.release(id, operand.into())),
            (5, _, Some(id)) => drop(connection.respond(id, Status::OK, body)),
            (6, _, Some(id)) => drop(connection.respond_busy(id, Duration::from_millis(operand.into()))),
            (7, _, Some(id)) => drop(connection.accept_subscription(id)),
            (8, _, Some(id)) => {
                let point = Point { epoch: 1, sequence: operand.into() };
                let retained = operand & 1 != 0;
                let news = Outgoing { topic: "a/b", point, missed: Missed::NONE, retained, body };
                if operand & 2 == 0 {
                    let _ = connection.publish(id, &news);
                } else {
                    self.publish_in_parts(id, operand, &news);
                }
            }
            (9, _, Some(id)) => drop(connection.publish_missed(id, Missed::NONE)),
            (10, _, Some(id)) => drop(connection.end_subscription(id, Status::CANCELLED)),
            (11, ..) => drop(connection.goaway()),
            (12, ..) if operand >= 128 => connection.abort(now, Status::new(operand.into())),
            (12, ..) => connection.close(now, Status::OK),
            (13, ..) => self.asked &= connection.admit(now).is_err(),
            (14, ..) => self.asked &= connection.refuse(now).is_err(),
            (15, ..) if operand & 0x0f == 0 => connection.turn_away(),
            (15, ..) => self.body_command(now, operand),
            _ => {}
        }
    }

    /// One command about bodies in chunks: which in the lower half of the operand, of which exchange in the upper.
    fn body_command(&mut self, now: Instant, operand: u8) {
        let (number, which) = (operand & 0x0f, usize::from(operand >> 4));
        let of_ours = self.open.iter().nth(which % self.open.len().max(1)).copied();
        let of_theirs = self.theirs.iter().rev().nth(which % self.theirs.len().clamp(1, 16)).copied();
        let connection = &mut self.connection;
        let bytes = &[0xa5; 200][..1 + which * 13];
        match (number, of_ours, of_theirs) {
            (1 | 2, ..) => {
                let deadline = (which == 1).then_some(Duration::from_secs(1));
                let head = RequestHead { method: "a/b", body: bytes, more: number == 1, deadline };
                self.open.extend(connection.open(now, &head));
            }
            (3, Some(id), _) | (4, _, Some(id)) => {
                let room = connection.write(id, bytes).map_or(0, |taken| bytes.len() - taken);
                assert!(room < bytes.len(), "more taken than there was, or nothing");
            }
            (5, Some(id), _) | (6, _, Some(id)) => drop(connection.finish(id)),
            (7, Some(id), _) | (8, _, Some(id)) => drop(connection.reset(id, Status::FAILED)),
            (9, _, Some(id)) => drop(connection.respond_more(now, id, bytes)),
            (10, _, Some(id)) => drop(connection.cancel_with(id, Status::CANCELLED)),
            (11, Some(id), _) | (12, _, Some(id)) => drop(connection.release(id, 1 << which)),
            (13, Some(id), _) | (14, _, Some(id)) => {
                let idle = (which > 0).then(|| Duration::from_millis(1 << which));
                let _ = connection.set_body_idle(now, id, idle);
            }
            _ => {
                while let Some(id) = connection.poll_writable() {
                    assert!(connection.write(id, b"x").is_ok(), "no room in {id} after all");
                }
            }
        }
    }
}
