//! Devices that meet a peer whose `Connection` is driven by hand, so that it does what no adapter would.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant as Clock};

use symbolon::tokio::{Device, Handle, RawExchange};
use symbolon::{
    Admission, CloseReason, Config, Connection, Event, ExchangeId, Instant, RequestHead, Role, Seed,
    SendError, Status,
};
use tokio::io::{AsyncReadExt, AsyncWrite, DuplexStream};

use super::bytes::pattern;
use super::{builder, identity, in_memory, limits, soon, timeouts};

pub struct Peer {
    pub connection: Connection,
    stream: Option<DuplexStream>,
    begun: Clock,
}

impl Peer {
    /// What `device` has dialled, and its handle.
    pub async fn of(device: &Device) -> (Handle, Self) {
        Self::numbered(9, device).await
    }

    /// The same, as the device of this number.
    pub async fn numbered(number: u8, device: &Device) -> (Handle, Self) {
        let config = Config::new(identity(number));
        let (here, there) = tokio::io::duplex(8 << 20);
        let admission = Admission::expect(config.identity().peer_id());
        let (handle, runner) = device.attach(here, Role::Initiator, admission).unwrap();
        tokio::spawn(runner.run());
        let seed = Seed::random().unwrap();
        let connection = Connection::responder(&config, Admission::Ask, seed, Instant::from_micros(1));
        let mut peer = Self { connection, stream: Some(there), begun: Clock::now() };
        while !peer.connection.is_connected() {
            peer.step().await;
        }
        handle.connected().await.unwrap();
        (handle, peer)
    }

    fn now(&self) -> Instant {
        Instant::from_micros(1 + u64::try_from(self.begun.elapsed().as_micros()).unwrap())
    }

    fn send(&mut self) {
        let now = self.now();
        let stream = self.stream.as_mut().unwrap();
        let mut task = Context::from_waker(Waker::noop());
        while let Some(bytes) = self.connection.poll_transmit(now) {
            let Poll::Ready(Ok(len)) = Pin::new(&mut *stream).poll_write(&mut task, bytes) else { break };
            self.connection.advance_transmit(len);
        }
    }

    /// Sends, reads once, and gives the requests that came.
    pub async fn step(&mut self) -> Vec<ExchangeId> {
        self.send();
        let mut bytes = vec![0; 65_536];
        let reading = self.stream.as_mut().unwrap().read(&mut bytes);
        let len = tokio::time::timeout(Duration::from_millis(5), reading).await.map_or(0, Result::unwrap);
        let mut rest = &bytes[..len];
        let mut asked = Vec::new();
        loop {
            let now = self.now();
            rest = &rest[self.connection.handle_input(now, rest)..];
            match self.connection.poll_event() {
                Some(Event::Admission { .. }) => self.connection.admit(now).unwrap(),
                Some(Event::Request { id, .. }) => asked.push(id),
                Some(_) => {}
                None if rest.is_empty() => break,
                None => {}
            }
        }
        self.send();
        asked
    }

    pub async fn request(&mut self) -> ExchangeId {
        loop {
            if let Some(id) = self.step().await.first() {
                return *id;
            }
        }
    }

    /// Answers with this head; a body is to follow.
    pub fn begin(&mut self, id: ExchangeId, head: &[u8]) {
        self.connection.respond_more(self.now(), id, head).unwrap();
        self.send();
    }

    /// Answers with this head, and with a body behind it, if there is one, as far as the other side takes it.
    pub async fn answer(&mut self, id: ExchangeId, head: &[u8], mut body: &[u8]) {
        if body.is_empty() {
            self.connection.respond(id, Status::OK, head).unwrap();
            self.send();
            return;
        }
        self.begin(id, head);
        while !body.is_empty() {
            match self.connection.write(id, body) {
                Ok(taken) => body = &body[taken..],
                Err(SendError::Full) => {}
                Err(_) => return,
            }
            self.step().await;
        }
        let _stopped = self.connection.finish(id);
        self.send();
    }

    /// Answers with all of this body, closes, and leaves.
    fn answer_and_leave(mut self, id: ExchangeId, body: &[u8], status: Status) {
        self.connection.respond_more(self.now(), id, b"").unwrap();
        let mut rest = body;
        while !rest.is_empty() {
            rest = &rest[self.connection.write(id, rest).unwrap_or(0)..];
            self.send();
        }
        self.connection.finish(id).unwrap();
        self.connection.close(self.now(), status);
        self.send();
        assert!(self.connection.poll_transmit(self.now()).is_none(), "all has left");
    }
}

/// SPEC §16.3: where writing fails, what has arrived is still read: all of a reply, and why the peer has gone.
#[tokio::test]
async fn what_has_arrived_is_read_where_writing_fails() {
    for len in [20_000, 100_000, 450_000] {
        let (handle, mut peer) = Peer::of(&builder(1).build().unwrap()).await;
        let fetching = tokio::spawn({
            let handle = handle.clone();
            async move {
                let (_, mut body) = handle.fetch_raw("give", b"", None).await.unwrap();
                let mut got = Vec::new();
                body.read_to_end(&mut got).await.map(|_| got.len()).map_err(|error| error.to_string())
            }
        });
        let id = soon(peer.request()).await;
        peer.answer_and_leave(id, &pattern(len), Status::new(300));
        // This side writes before its runner has had a turn.
        let mut call = Box::pin(handle.call_raw("m", b"", None));
        let mut task = Context::from_waker(Waker::noop());
        assert!(Future::poll(call.as_mut(), &mut task).is_pending());
        assert_eq!(soon(handle.closed()).await, CloseReason::Remote(Status::new(300)), "{len}");
        assert_eq!(soon(fetching).await.unwrap(), Ok(len));
    }
}

/// EXC-15, EXC-16: a peer that stops a body with status 0 makes no success of what failed.
#[tokio::test]
async fn a_stop_with_ok_is_no_success() {
    let (upstream, mut peer) = Peer::of(&builder(1).build().unwrap()).await;
    let relay = builder(2).on_stream_raw("relay", move |_, _, _exchange| {
        let upstream = upstream.clone();
        async move {
            let opened = upstream.open_raw("store", b"", None).await?;
            let (mut writer, _reply) = opened;
            loop {
                writer.write_all(&[7; 100_000]).await?;
            }
        }
    });
    let asking = builder(3).build().unwrap();
    let (asking, _relay) = in_memory(&asking, &relay.build().unwrap(), 65_536).await;
    let asked = tokio::spawn(async move { asking.fetch_raw("relay", b"", None).await.map(|(head, _)| head) });
    let id = soon(peer.request()).await;
    peer.connection.cancel_with(id, Status::OK).unwrap();
    let stepping = async {
        while !asked.is_finished() {
            peer.step().await;
        }
    };
    soon(stepping).await;
    assert!(asked.await.unwrap().is_err());
}

/// Requests that come with the close they are ended by leave nothing behind.
#[tokio::test]
async fn a_request_with_a_close_is_forgotten() {
    let device = builder(1).on_stream_raw("s", |_, _, _| async move { Ok(()) }).build().unwrap();
    let (handle, mut peer) = Peer::of(&device).await;
    let head = RequestHead { method: "s", body: b"", more: false, deadline: None };
    for _ in 0..10 {
        peer.connection.open(peer.now(), &head).unwrap();
    }
    peer.connection.close(peer.now(), Status::OK);
    peer.send();
    soon(handle.closed()).await;
    assert!(format!("{handle:?}").contains("held: 0"), "{handle:?}");
}

/// EXC-16: a handler that reads nothing, with a reply that is longer than the window: the caller, who writes before he
/// reads, is stopped, and gets all of the reply.
#[tokio::test]
async fn a_finished_reply_stops_the_body_that_nobody_reads() {
    let tight = limits(|limits| limits.window = 65_536);
    let idle = timeouts(|timeouts| timeouts.body_idle = Some(Duration::from_secs(3)));
    let device =
        builder(2).limits(tight).timeouts(idle).on_stream_raw("ignores", |_, _, exchange| async move {
            let RawExchange { body: _body, reply } = exchange;
            let mut writer = reply.start(b"").await?;
            writer.write_all(&pattern(100_000)).await?;
            Ok(writer.finish()?)
        });
    let caller = builder(1).limits(tight).timeouts(idle).build().unwrap();
    let (caller, _served) = in_memory(&caller, &device.build().unwrap(), 65_536).await;
    let (mut writer, reply) = soon(caller.open_raw("ignores", b"", None)).await.unwrap();
    assert!(soon(writer.write_all(&pattern(1 << 20))).await.is_err());
    let (_, mut body) = soon(reply.wait()).await.unwrap();
    let mut got = Vec::new();
    assert_eq!(soon(body.read_to_end(&mut got)).await.unwrap(), 100_000);
}

/// SPEC §10.5: what a reader says of idle times holds for the reply as well, which has not begun.
#[tokio::test]
async fn an_idle_time_may_be_set_before_the_reply_begins() {
    let idle = timeouts(|timeouts| timeouts.body_idle = Some(Duration::from_millis(300)));
    let device = builder(2).timeouts(idle).on_stream_raw("live", |_, _, exchange| async move {
        exchange.body.set_idle(None);
        let mut writer = exchange.reply.start(b"").await?;
        tokio::time::sleep(Duration::from_millis(900)).await;
        writer.write_all(b"late").await?;
        Ok(writer.finish()?)
    });
    let (caller, _served) = in_memory(&builder(1).build().unwrap(), &device.build().unwrap(), 65_536).await;
    let (_, mut body) = soon(caller.fetch_raw("live", b"", None)).await.unwrap();
    assert_eq!(soon(body.chunk()).await.unwrap().as_deref(), Some(&b"late"[..]));
}
