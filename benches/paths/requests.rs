//! A request and its reply.

use std::hint::black_box;

use symbolon::{Event, Provider, Status};

use super::{Ends, NOW, WARM_UP};

const BODY: usize = 64;

/// Two ends that have known each other for a while.
pub struct Conversation {
    ends: Ends,
    body: [u8; BODY],
}

impl Conversation {
    pub const BYTES: u64 = 2 * BODY as u64;

    pub fn new(provider: Provider) -> Self {
        let mut conversation = Self { ends: Ends::new(provider), body: [0x55; BODY] };
        for _ in 0..WARM_UP {
            conversation.run();
        }
        conversation
    }

    /// One request and its reply.  Returns the lengths of the two frames.
    pub fn run(&mut self) -> [usize; 2] {
        let Ends { a, b } = &mut self.ends;
        a.request(NOW, "lamp/set", black_box(&self.body), None).expect("room for a request");
        let request = a.poll_transmit(NOW).expect("a request to send");
        let asked = request.len();
        assert_eq!(b.handle_input(NOW, request), asked, "a frame is taken whole");
        a.advance_transmit(asked);
        let mut answer = [0; BODY];
        let Some(Event::Request { id, body, .. }) = b.poll_event() else { panic!("no request") };
        answer.copy_from_slice(body);
        b.respond(id, Status::OK, &answer).expect("room for an answer");
        let reply = b.poll_transmit(NOW).expect("a reply to send");
        let replied = reply.len();
        assert_eq!(a.handle_input(NOW, reply), replied, "a frame is taken whole");
        b.advance_transmit(replied);
        let Some(Event::Response { body, .. }) = a.poll_event() else { panic!("no response") };
        black_box(body);
        [asked, replied]
    }
}
