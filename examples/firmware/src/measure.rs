//! What symbolon costs on a Cortex-M3: instructions, heap and stack, told line by line for `costs.py`.
//!
//! Two devices in the memory of one, each with its connection to the other; what each of them does is counted by itself.
//! With QEMU's `-icount shift=0` an instruction takes a nanosecond, and SysTick counts each 80 of them.  Instructions are
//! no cycles: a budget to watch, no time.
//!
//! Which parts of the library are in is chosen by features, so that their flash can be compared.

#![no_std]
#![no_main]

extern crate alloc;

#[allow(dead_code, reason = "the board has more than is measured here")]
mod board;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_semihosting::debug;

use board::console::{Part, say};

#[cortex_m_rt::entry]
fn main() -> ! {
    board::heap::init();
    let mut peripherals = cortex_m::Peripherals::take().expect("taken once, at reset");
    peripherals.SYST.set_clock_source(SystClkSource::Core);
    peripherals.SYST.set_reload(clock::RELOAD);
    peripherals.SYST.clear_current();
    peripherals.SYST.enable_counter();
    #[cfg(feature = "part-handshake")]
    parts::measure();
    figure("stack", board::stack::peak());
    #[cfg(feature = "part-adapter")]
    if board::heap::usage().peak == 0 {
        // Never; but the linker does not know, and keeps the adapter.
        adapter::run();
    }
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}

/// Tells one figure, as `costs.py` reads it.
fn figure(name: &str, value: u32) {
    say(&[Part::Text(name), Part::Text(" "), Part::Number(value)]);
}

/// Instructions, by SysTick.
#[cfg_attr(not(feature = "part-handshake"), allow(dead_code, reason = "nothing is counted"))]
mod clock {
    use cortex_m::peripheral::SYST;

    pub const RELOAD: u32 = 0x00ff_ffff;
    /// SysTick's 12.5 MHz at one instruction a nanosecond.
    const PER_TICK: u32 = 80;

    /// Counts while it lives.
    pub struct Counter(u32);

    impl Counter {
        pub fn start() -> Self {
            Self(SYST::get_current())
        }

        /// How many instructions there were; correct to 80, and for less than 1.3 billion.
        pub fn read(self) -> u32 {
            // It counts down, and begins anew.
            let ticks = self.0.wrapping_sub(SYST::get_current()) & RELOAD;
            ticks * PER_TICK
        }
    }
}

#[cfg(feature = "part-handshake")]
mod parts {
    use core::hint::black_box;
    use core::mem::size_of;

    #[cfg(feature = "part-calls")]
    use symbolon::Event;
    use symbolon::{Admission, Config, Connection, Identity, Instant, Limits, SecretKey, Seed};

    use super::board::heap;
    use super::clock::Counter;
    use super::figure;

    const NOW: Instant = Instant::from_millis(1_000);

    /// One end of the conversation, and the instructions it took.
    pub struct Side {
        pub connection: Connection,
        count: u32,
    }

    impl Side {
        pub fn new(connection: Connection) -> Self {
            Self { connection, count: 0 }
        }

        /// Does something at this end, and counts it.
        pub fn counted<R>(&mut self, run: impl FnOnce(&mut Connection) -> R) -> R {
            let counter = Counter::start();
            let result = run(&mut self.connection);
            self.count += counter.read();
            result
        }

        /// What was counted since it was asked last.
        pub fn take_count(&mut self) -> u32 {
            core::mem::take(&mut self.count)
        }
    }

    /// Carries what `from` has to say, and lets `act` have each event of `to`.
    pub fn carry(from: &mut Side, to: &mut Side, mut act: impl FnMut(&mut Side) -> bool) {
        loop {
            let counter = Counter::start();
            let bytes = from.connection.poll_transmit(NOW);
            from.count += counter.read();
            let Some(bytes) = bytes else { return };
            let taken = to.counted(|connection| connection.handle_input(NOW, bytes));
            from.connection.advance_transmit(taken);
            while act(to) {}
        }
    }

    /// Takes an event of this side, whatever it is; whether there was one.
    pub fn ignore(side: &mut Side) -> bool {
        side.counted(|connection| connection.poll_event().is_some())
    }

    /// Different each time that it is asked: the same seed would be refused.
    fn device(number: u8) -> Config {
        let identity = Identity::new(&SecretKey::from_bytes([number; 32]), seed(number));
        Config::new(identity).with_limits(Limits::small()).expect("limits in range")
    }

    /// For measuring: a device takes 32 fresh random bytes for each.
    fn seed(number: u8) -> Seed {
        Seed::new(core::array::from_fn(|i| number.wrapping_mul(31) ^ i as u8)).expect("varied bytes")
    }

    pub fn measure() {
        let (left, right) = (device(1), device(2));
        let before = heap::usage();
        let expect = |config: &Config| Admission::expect(config.identity().peer_id());
        let initiator = Connection::initiator(&left, expect(&right), seed(3), NOW);
        let responder = Connection::responder(&right, expect(&left), seed(4), NOW);
        let (mut a, mut b) = (Side::new(initiator), Side::new(responder));
        let (mut of_a, mut of_b) = (0, 0);
        let stretches = [
            ["stretch-initiator-offer", "stretch-responder-message-2"],
            ["stretch-initiator-message-3", "stretch-responder-answered"],
            ["stretch-initiator-sent-3", "stretch-responder-accept"],
        ];
        for [initiator, responder] in stretches {
            carry(&mut a, &mut b, ignore);
            let (count_a, count_b) = (a.take_count(), b.take_count());
            figure(initiator, count_a);
            figure(responder, count_b);
            carry(&mut b, &mut a, ignore);
            (of_a, of_b) = (of_a + count_a, of_b + count_b);
        }
        assert!(a.connection.is_connected() && b.connection.is_connected(), "they have not met");
        figure("handshake-initiator", of_a + a.take_count());
        figure("handshake-responder", of_b + b.take_count());
        let usage = heap::usage();
        figure("heap-before", before.live);
        // Both ends lie on this heap: half of it is one's.
        figure("handshake-heap-peak", (usage.peak - before.live) / 2);
        figure("connection-heap", (usage.live - before.live) / 2);
        figure("connection-struct", size_of::<Connection>() as u32);
        #[cfg(feature = "part-calls")]
        super::calls::measure(&mut a, &mut b);
        #[cfg(feature = "part-publications")]
        super::publications::measure(&mut a, &mut b);
        #[cfg(feature = "part-streams")]
        super::streams::measure(&mut a, &mut b);
        let after = heap::usage();
        figure("heap-after", after.live - before.live);
        figure("allocations-after-handshake", after.allocations - usage.allocations);
        black_box((a.connection.peer(), b.connection.peer()));
    }

    /// The exchange of an event that waits for this side.
    #[cfg(feature = "part-calls")]
    pub fn id_of(event: &Event<'_>) -> Option<symbolon::ExchangeId> {
        match *event {
            Event::Request { id, .. } | Event::Subscribe { id, .. } | Event::End { id, .. } => Some(id),
            _ => None,
        }
    }

    #[cfg(feature = "part-calls")]
    pub const fn now() -> Instant {
        NOW
    }
}

#[cfg(feature = "part-calls")]
mod calls {
    use symbolon::Status;

    use super::figure;
    use super::parts::{Side, carry, id_of, ignore, now};

    const ROUNDS: u32 = 100;

    /// Calls with 64 bytes, and as many back.
    pub fn measure(caller: &mut Side, server: &mut Side) {
        let body = [7; 64];
        let mut answered = 0;
        for _ in 0..ROUNDS {
            caller
                .counted(|connection| connection.request(now(), "sensor/read", &body, None))
                .expect("there is room for one");
            carry(caller, server, |server| {
                let asked = server.counted(|connection| connection.poll_event().map(|event| id_of(&event)));
                if let Some(Some(id)) = asked {
                    let answer =
                        |connection: &mut symbolon::Connection| connection.respond(id, Status::OK, &body);
                    server.counted(answer).expect("there is room for one");
                    answered += 1;
                }
                asked.is_some()
            });
            carry(server, caller, ignore);
        }
        assert!(answered == ROUNDS, "calls were lost");
        figure("call-64-caller", caller.take_count() / ROUNDS);
        figure("call-64-server", server.take_count() / ROUNDS);
    }
}

#[cfg(feature = "part-publications")]
mod publications {
    use symbolon::{Event, Kind, LinkId, Offer, SubscribeOptions, TopicId, TopicLimits, Topics, Verdict};

    use super::figure;
    use super::parts::{Side, carry, id_of, ignore};

    const ROUNDS: u32 = 50;
    const LINK: LinkId = LinkId(0);

    /// Publications of 1 KiB, out of a table of topics.  With frames of 1 KiB each goes in two.
    pub fn measure(subscriber: &mut Side, publisher: &mut Side) {
        let mut topics = Topics::new(7, TopicLimits::default());
        let topic = topics.declare("image", Kind::State).expect("a topic");
        let mut options = SubscribeOptions::default();
        (options.window, options.largest) = (4_096, 2_048);
        subscriber.connection.subscribe_with("image", &options).expect("there is room for one");
        carry(subscriber, publisher, |publisher| {
            let asked = publisher.connection.poll_event().and_then(|event| id_of(&event));
            if let Some(id) = asked {
                topics.subscribe(LINK, id, "image", None).expect("there is room for one");
                publisher.connection.accept_subscription(id).expect("it was asked for");
            }
            asked.is_some()
        });
        carry(publisher, subscriber, ignore);
        let _setup = (subscriber.take_count(), publisher.take_count());
        for _ in 0..ROUNDS {
            round(&mut topics, topic, publisher, subscriber);
        }
        figure("publish-1024-publisher", publisher.take_count() / ROUNDS);
        figure("publish-1024-subscriber", subscriber.take_count() / ROUNDS);
    }

    fn round(topics: &mut Topics, topic: TopicId, publisher: &mut Side, subscriber: &mut Side) {
        publisher.counted(|_| topics.publish(topic, &[7; 1_024])).expect("it is declared");
        let mut whole = false;
        for _ in 0..4 {
            publisher.counted(|connection| {
                while let Some(id) = connection.poll_credited() {
                    topics.credited(LINK, id);
                }
                topics.pump(LINK, |offer| {
                    let sent = match offer {
                        Offer::Publication { subscription, publication, .. } => {
                            connection.publish_first(subscription, &publication)
                        }
                        Offer::Rest { subscription, rest } => connection.publish_next(subscription, rest),
                        _ => return Verdict::Gone,
                    };
                    sent.map_or(Verdict::Full, Verdict::Part)
                });
            });
            carry(publisher, subscriber, |subscriber| {
                subscriber.counted(|connection| {
                    let Some(event) = connection.poll_event() else { return false };
                    let taken = match event {
                        Event::Publication { id, publication } => Some((id, publication.cost, false)),
                        Event::Continuation { id, cost, more, .. } => Some((id, cost, !more)),
                        _ => None,
                    };
                    if let Some((id, cost, last)) = taken {
                        connection.release(id, cost).expect("it stands");
                        whole |= last;
                    }
                    true
                })
            });
            carry(subscriber, publisher, ignore);
        }
        assert!(whole, "a publication has not arrived");
    }
}

#[cfg(feature = "part-streams")]
mod streams {
    use symbolon::{Event, RequestHead, Status};

    use super::figure;
    use super::parts::{Side, carry, id_of, ignore, now};

    const KIB: usize = 16;

    /// A body of 16 KiB, under the credit of a window.
    pub fn measure(sender: &mut Side, receiver: &mut Side) {
        let head = RequestHead { method: "image/put", body: b"", more: true, deadline: None };
        let id = sender.counted(|connection| connection.open(now(), &head)).expect("there is room for one");
        let (mut left, mut got, mut done) = (KIB * 1_024, 0, false);
        while !done {
            let chunk = [7; 512];
            if left > 0
                && let Ok(taken) =
                    sender.counted(|connection| connection.write(id, &chunk[..left.min(chunk.len())]))
            {
                left -= taken;
                if left == 0 {
                    sender.counted(|connection| connection.finish(id)).expect("it was begun");
                }
            }
            carry(sender, receiver, |receiver| {
                receiver.counted(|connection| {
                    let Some(event) = connection.poll_event() else { return false };
                    let ended = if matches!(event, Event::End { .. }) { id_of(&event) } else { None };
                    if let Event::Data { id, chunk, cost } = event {
                        got += chunk.len();
                        connection.release(id, cost).expect("it goes on");
                    }
                    if let Some(id) = ended {
                        connection.respond(id, Status::OK, &[]).expect("it waits");
                        done = true;
                    }
                    true
                })
            });
            carry(receiver, sender, ignore);
        }
        assert!(got == KIB * 1_024, "bytes were lost");
        figure("stream-1024-sender", sender.take_count() / KIB as u32);
        figure("stream-1024-receiver", receiver.take_count() / KIB as u32);
    }
}

#[cfg(feature = "part-adapter")]
mod adapter {
    use core::pin::pin;

    use symbolon::embassy::{Buffers, Device, LineRunner, Link, SubscribeOptions};
    use symbolon::{Config, Identity, Limits, PeerId, SecretKey, Seed, TopicLimits, Topics};

    use super::board;

    pub fn run() -> ! {
        board::run(|_| serve().expect("there is room for one"))
    }

    /// The line of the UART, with handles that call, subscribe and stream.
    #[embassy_executor::task]
    async fn serve() {
        let seed = || Seed::new(board::entropy::bytes()).ok();
        let identity = Identity::new(&SecretKey::from_bytes([1; 32]), seed().expect("random bytes"));
        let config = Config::new(identity).with_limits(Limits::small()).expect("limits in range");
        let device = Device::new(config, Topics::new(7, TopicLimits::default()));
        let memory: &'static mut [u8] = alloc::vec![0; 1_024].leak();
        let link = Link::new(memory, 2);
        let (rx, tx) = board::uart::open();
        let (mut rx_bytes, mut tx_bytes) = ([0; 256], [0; 256]);
        let buffers = Buffers::new(&mut rx_bytes, &mut tx_bytes);
        let mut io = pin!(buffers.transport(rx, tx));
        let peers = [PeerId::from_bytes([1; 32])];
        let mut seeds = seed;
        let mut runner = LineRunner::new(&device, &link, &peers, &mut seeds, &buffers, io.as_mut());
        let handle = link.handle();
        embassy_futures::join::join(runner.run(), async {
            let mut buffer = [0; 64];
            while handle.call_raw("echo", b"", &mut buffer, None).await.is_ok() {}
            if let Ok(mut values) = handle.subscribe_raw("state", SubscribeOptions::default()).await {
                while values.next(&mut buffer).await.is_some() {}
            }
            if let Ok((_, mut body)) = handle.fetch_raw("image", b"", &mut [], None).await {
                while body.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
            }
        })
        .await;
    }
}
