//! Publications from one end to the other.

use std::hint::black_box;
use std::iter;
use std::time::{Duration, Instant as Clock};

use symbolon::{Event, ExchangeId, Missed, Outgoing, Point, Provider, SendError};

use super::{Ends, NOW, WARM_UP, carry, drain};

/// As a house names them.
pub const TOPIC: &str = "house/room-7/lamp/state";
/// Enough that credit is given back now and then, and not each time.
const WINDOW: u32 = 512 * 1024;

/// Publications of one length that leave in one frame: `b` publishes, `a` has subscribed.
pub struct Publications {
    ends: Ends,
    subscription: ExchangeId,
    body: Vec<u8>,
    /// In the frame.
    pub count: usize,
}

impl Publications {
    /// One in each frame.
    pub fn one(provider: Provider, body: usize) -> Self {
        Self::new(provider, body, 1)
    }

    /// The longest one that a frame holds.
    pub fn longest(provider: Provider) -> Self {
        let (mut ends, subscription) = subscribed(Ends::new(provider), WINDOW);
        // Its length takes as many bytes as that of the one looked for.
        let too_long = usize::from(u16::MAX);
        let refused = ends.b.publish(subscription, &outgoing(&vec![0; too_long]));
        let Err(SendError::TooLarge { len, max }) = refused else { panic!("{refused:?}") };
        Self::one(provider, too_long - (len - max))
    }

    /// As many as a frame holds.
    pub fn filling(provider: Provider, body: usize) -> Self {
        let mut few = Self::new(provider, body, 1);
        let one = few.run();
        few.count = 2;
        let each = few.run() - one;
        let count = 1 + (2 + usize::from(symbolon::Limits::default().max_frame) - one) / each;
        Self::new(provider, body, count)
    }

    fn new(provider: Provider, body: usize, count: usize) -> Self {
        let (ends, subscription) = subscribed(Ends::new(provider), WINDOW);
        let mut publications = Self { ends, subscription, body: vec![0x55; body], count };
        for _ in 0..WARM_UP {
            publications.run();
        }
        publications
    }

    /// Bytes of the application in one frame.
    pub fn bytes(&self) -> u64 {
        (self.count * self.body.len()) as u64
    }

    /// One frame, from the publisher to the subscriber.  Returns its length.
    pub fn run(&mut self) -> usize {
        self.timed(|| ()).0
    }

    /// The same, and how long both ends took for it: to queue and seal; and to open, look and take.
    pub fn run_timed(&mut self) -> [Duration; 2] {
        let (_, [begun, sealed, opened]) = self.timed(Clock::now);
        [sealed - begun, opened - sealed]
    }

    /// `clock` is read before the sealing, between the two, and after the opening.
    fn timed<T>(&mut self, mut clock: impl FnMut() -> T) -> (usize, [T; 3]) {
        let Ends { a, b } = &mut self.ends;
        let begun = clock();
        let body = black_box(self.body.as_slice());
        // As a table of topics does with what waits for one subscription.
        let behind = iter::repeat_n(body, self.count - 1);
        let sent = b.publish_series(self.subscription, &outgoing(body), behind);
        assert_eq!(sent, Ok(self.count), "room and credit");
        let frame = b.poll_transmit(NOW).expect("a frame");
        let sealed = clock();
        let length = frame.len();
        assert_eq!(a.handle_input(NOW, frame), length, "a frame is taken whole");
        let mut got = 0;
        while let Some(Event::Publication { id, publication }) = a.poll_event() {
            let cost = publication.cost;
            black_box(publication.body);
            a.release(id, cost).expect("it stands");
            got += 1;
            while let Some(following) = a.poll_following() {
                let cost = following.cost;
                black_box(following.body);
                a.release(id, cost).expect("it stands");
                got += 1;
            }
        }
        let opened = clock();
        assert_eq!(got, self.count);
        b.advance_transmit(length);
        carry(a, b, drain);
        (length, [begun, sealed, opened])
    }
}

/// `b` takes a subscription of `a`'s.
pub fn subscribed(mut ends: Ends, window: u32) -> (Ends, ExchangeId) {
    let id = ends.a.subscribe(TOPIC, window, None).expect("room");
    carry(&mut ends.a, &mut ends.b, |b| {
        let Some(Event::Subscribe { id, .. }) = b.poll_event() else { return };
        b.accept_subscription(id).expect("it waits");
    });
    ends.settle();
    (ends, id)
}

fn outgoing(body: &[u8]) -> Outgoing<'_> {
    // Always as long as for the millionth.
    let point = Point { epoch: 0x5eed_1234, sequence: 1_000_000 };
    Outgoing { topic: TOPIC, point, missed: Missed::NONE, retained: false, body }
}
