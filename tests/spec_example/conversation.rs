//! What the two say to each other: appendix B.5.

use core::time::Duration;

use minicbor::Decoder;
use snow::StatelessTransportState;
use symbolon::{CloseReason, ExchangeId, Missed, Outgoing, Point, RequestHead, Status};

use crate::Example;
use crate::common::Happened;
use crate::text::diagnostic;

impl Example {
    pub fn conversation(&mut self, transport: &[StatelessTransportState; 2]) {
        self.open("B.5 Conversation");
        assert!(matches!(self.b.events()[..], [Happened::Connected(_)]));
        self.frame(transport, false, "lets the initiator in", &["[0]"]);
        assert!(matches!(self.a.events()[..], [Happened::Connected(_)]));

        self.a.connection.request(self.now, "echo", b"hello", Some(Duration::from_secs(5))).unwrap();
        let request = r#"[5, 2, 5000, 0, "echo", h'68656c6c6f']"#;
        self.frame(transport, true, "calls a method, with a deadline of 5 s", &[request]);
        let events = self.b.events();
        let [Happened::Request { id, ref body, .. }] = events[..] else { panic!("{events:?}") };
        self.b.connection.respond(id, Status::OK, body).unwrap();
        self.frame(transport, false, "answers", &["[6, 2, 0, 0, h'68656c6c6f']"]);
        assert!(matches!(self.a.events()[..], [Happened::Response { .. }]));

        self.bodies(transport);
        self.stopped(transport);

        let ours = self.a.connection.subscribe("room/+", 1_000, None).unwrap();
        self.frame(
            transport,
            true,
            "subscribes, with credit for 1000 bytes",
            &[r#"[12, 8, 1000, "room/+"]"#],
        );
        let events = self.b.events();
        let [Happened::Subscribe { id, .. }] = events[..] else { panic!("{events:?}") };
        self.publish(id);
        let publication = r#"[13, 8, 0, 4, "room/1", 168496141, 7, h'3139']"#;
        let both = ["[6, 8, 0, 1, h'']", publication];
        self.frame(transport, false, "accepts, and publishes a value that it had: 21 bytes of credit", &both);
        let events = self.a.events();
        assert!(matches!(events[..], [Happened::Subscribed(_), Happened::Publication { cost: 21, .. }]));

        self.a.connection.cancel(ours).unwrap();
        self.frame(
            transport,
            true,
            "unsubscribes, before its application has taken what came",
            &["[8, 8, 1]"],
        );
        assert!(matches!(self.b.events()[..], [Happened::Unsubscribe(_)]));
        // The responder speaks last, so that the initiator's keepalive comes first.
        self.now = self.now + Duration::from_secs(1);
        self.b.connection.end_subscription(id, Status::CANCELLED).unwrap();
        self.frame(transport, false, "ends the subscription", &["[10, 8, 1]"]);

        self.now = self.now + Duration::from_secs(14);
        self.a.connection.handle_timeout(self.now);
        self.frame(transport, true, "has sent nothing for half of its silence", &["[3, 1]"]);
        self.frame(transport, false, "answers", &["[4, 1]"]);

        self.a.connection.close(self.now, Status::OK);
        self.frame(transport, true, "closes", &["[1, 0]"]);
        assert_eq!(self.b.events(), [Happened::Closed(CloseReason::Remote(Status::OK))]);
        self.frame(transport, false, "closes as well", &["[1, 0]"]);
        assert_eq!(self.a.events().last(), Some(&Happened::Closed(CloseReason::Local(Status::OK))));
        self.close();
    }

    /// SPEC §10.5: a body in chunks each way, at the same time, with credit.
    fn bodies(&mut self, transport: &[StatelessTransportState; 2]) {
        let head = RequestHead { method: "copy", body: b"two parts", more: true, deadline: None };
        let ours = self.a.connection.open(self.now, &head).unwrap();
        self.a.connection.write(ours, b"first").unwrap();
        let request = r#"[5, 4, 0, 1, "copy", h'74776f207061727473']"#;
        let both = [request, "[9, 4, h'6669727374']"];
        self.frame(transport, true, "calls with a body in chunks: 9 bytes of credit", &both);
        let events = self.b.events();
        let [Happened::RequestGoesOn { id, .. }, Happened::Data(_, ref chunk, cost)] = events[..] else {
            panic!("{events:?}")
        };
        self.b.connection.release(id, cost).unwrap();
        self.b.connection.respond_more(self.now, id, b"").unwrap();
        assert_eq!(self.b.connection.write(id, chunk), Ok(5));
        let all = ["[11, 4, 73]", "[6, 4, 0, 1, h'']", "[9, 4, h'6669727374']"];
        self.frame(transport, false, "has taken the chunk, and answers in chunks before the last one", &all);
        let events = self.a.events();
        let [Happened::ResponseGoesOn { .. }, Happened::Data(id, _, cost)] = events[..] else {
            panic!("{events:?}")
        };
        self.a.connection.release(id, cost).unwrap();
        self.a.connection.write(ours, b"last").unwrap();
        self.a.connection.finish(ours).unwrap();
        let all = ["[11, 4, 73]", "[9, 4, h'6c617374']", "[10, 4, 0]"];
        self.frame(transport, true, "has taken it as well, and ends its body", &all);
        let events = self.b.events();
        let [Happened::Data(id, ref chunk, _), Happened::End(_, Status::OK)] = events[..] else {
            panic!("{events:?}")
        };
        self.b.connection.write(id, chunk).unwrap();
        self.b.connection.finish(id).unwrap();
        let both = ["[9, 4, h'6c617374']", "[10, 4, 0]"];
        self.frame(transport, false, "ends the answer, and with it the exchange", &both);
        let events = self.a.events();
        assert!(matches!(events[..], [Happened::Data(..), Happened::End(_, Status::OK)]));
        assert!(self.a.connection.is_idle() && self.b.connection.is_idle());
    }

    /// SPEC §10.5: the answerer asks for the end of the opener's body, and answers.
    fn stopped(&mut self, transport: &[StatelessTransportState; 2]) {
        let head = RequestHead { method: "copy", body: b"", more: true, deadline: None };
        let ours = self.a.connection.open(self.now, &head).unwrap();
        self.a.connection.write(ours, b"first").unwrap();
        let both = [r#"[5, 6, 0, 1, "copy", h'']"#, "[9, 6, h'6669727374']"];
        self.frame(transport, true, "calls again", &both);
        let events = self.b.events();
        let [Happened::RequestGoesOn { id, .. }, Happened::Data(..)] = events[..] else {
            panic!("{events:?}")
        };
        self.b.connection.cancel_with(id, Status::new(256)).unwrap();
        self.frame(transport, false, "wants no more of the body, for a reason of its own", &["[8, 6, 256]"]);
        assert_eq!(self.a.events(), [Happened::Stopped(ours, Status::new(256))]);
        self.frame(transport, true, "ends the body, with the same status", &["[10, 6, 256]"]);
        assert_eq!(self.b.events(), [Happened::End(id, Status::new(256))]);
        self.b.connection.respond(id, Status::OK, b"").unwrap();
        self.frame(transport, false, "answers all the same", &["[6, 6, 0, 0, h'']"]);
        assert!(matches!(self.a.events()[..], [Happened::Response { status: Status::OK, .. }]));
        assert!(self.a.connection.is_idle() && self.b.connection.is_idle());
    }

    fn publish(&mut self, id: ExchangeId) {
        let point = Point { epoch: 0x0A0B_0C0D, sequence: 7 };
        let publication =
            Outgoing { topic: "room/1", point, missed: Missed::NONE, retained: true, body: b"19" };
        self.b.connection.accept_subscription(id).unwrap();
        self.b.connection.publish(id, &publication).unwrap();
    }

    /// One side writes exactly one frame, with these messages.
    fn frame(
        &mut self,
        transport: &[StatelessTransportState; 2],
        from_a: bool,
        what: &str,
        expected: &[&str],
    ) {
        let now = self.now;
        let (sender, receiver) = if from_a { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
        let frame = sender.written(now);
        let (name, n) = (sender.name, sender.n);
        sender.n += 1;
        receiver.reads(now, &frame);

        assert_eq!(usize::from(u16::from_be_bytes([frame[0], frame[1]])), frame.len() - 2, "one frame");
        let mut plaintext = vec![0; frame.len()];
        let len = transport[usize::from(from_a)].read_message(n, &frame[2..], &mut plaintext).unwrap();
        plaintext.truncate(len);
        let mut cbor = Decoder::new(&plaintext);
        let mut messages = Vec::new();
        while cbor.position() < len {
            messages.push(diagnostic(&mut cbor));
        }
        assert_eq!(messages, expected);

        self.line(&format!("{name}, n = {n}: {what}"));
        for message in &messages {
            self.line(&format!("    {message}"));
        }
        self.value("  plaintext", &plaintext);
        self.value("  frame", &frame);
    }
}
