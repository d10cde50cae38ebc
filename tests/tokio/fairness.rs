//! One connection among the tasks of a thread: whatever its peer does, the others have their turn.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use symbolon::tokio::{Builder, Device};
use symbolon::{Admission, Config, Connection, Event, Instant, Kind, Role, Seed, SubscribeOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::{builder, identity, soon};

const NOW: Instant = Instant::from_micros(1);

/// A stream that never has anybody wait, and the peer at its other end, who goes on until he has said so much.
struct Eager {
    connection: Connection,
    says: Says,
    open: usize,
    left: usize,
    done: Arc<AtomicUsize>,
    reader: Option<Waker>,
}

/// What a peer does, as often as he can.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Says {
    /// Requests with bodies of this length, so many at once.
    Requests(usize, usize),
    /// So many subscriptions, once.
    Subscriptions(usize),
}

impl Eager {
    /// Has a device serve such a peer; the number that he is done with is counted.
    fn attach(builder: Builder, says: Says, often: usize) -> (Device, Arc<AtomicUsize>) {
        let (device, done) = (builder.build().unwrap(), Arc::<AtomicUsize>::default());
        let expected = Admission::expect(device.peer_id());
        let connection =
            Connection::initiator(&Config::new(identity(9)), expected, Seed::random().unwrap(), NOW);
        let stream = Self { connection, says, open: 0, left: often, done: done.clone(), reader: None };
        let (_, runner) = device.attach(stream, Role::Responder, Admission::Ask).unwrap();
        tokio::spawn(runner.run());
        (device, done)
    }

    fn say(&mut self) {
        match self.says {
            Says::Requests(len, most) => {
                while self.open < most && self.left > 0 {
                    self.connection.request(NOW, "nothing", &vec![7; len], None).unwrap();
                    (self.open, self.left) = (self.open + 1, self.left - 1);
                }
            }
            Says::Subscriptions(most) => {
                while self.open < most {
                    let mut options = SubscribeOptions::default();
                    (options.window, options.largest) = (u32::MAX, u32::MAX);
                    self.connection.subscribe_with("large", &options).unwrap();
                    self.open += 1;
                }
            }
        }
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        loop {
            bytes = &bytes[self.connection.handle_input(NOW, bytes)..];
            match self.connection.poll_event() {
                Some(Event::Response { .. }) => {
                    self.open -= 1;
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                Some(Event::Continuation { more: false, .. }) => {
                    _ = self.done.fetch_add(1, Ordering::Relaxed)
                }
                Some(_) => {}
                None if bytes.is_empty() => return,
                None => {}
            }
        }
    }
}

impl AsyncRead for Eager {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            if self.connection.is_connected() {
                self.say();
            }
            let Some(bytes) = self.connection.poll_transmit(NOW) else { break };
            let len = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..len]);
            self.connection.advance_transmit(len);
        }
        if buffer.filled().len() == before {
            self.reader = Some(task.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Eager {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.hear(bytes);
        // There may be something to read.
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn nothing(builder: Builder) -> Builder {
    builder.on_raw("nothing", |_, _| async { Ok("".into()) })
}

/// How often another task has its turn until the peer is done with so many.
async fn turns_until(done: Arc<AtomicUsize>, enough: usize) -> usize {
    let mut turns = 0;
    let counting = poll_fn(move |task| {
        turns += 1;
        task.waker().wake_by_ref();
        if done.load(Ordering::Relaxed) < enough { Poll::Pending } else { Poll::Ready(turns) }
    });
    soon(tokio::spawn(counting)).await.unwrap()
}

/// R3: who asks as fast as he is answered is served beside the others, not before them.
#[tokio::test]
async fn a_peer_that_always_asks_keeps_no_task_waiting() {
    let (_device, done) = Eager::attach(nothing(builder(1)), Says::Requests(0, 16), 16_000);
    let turns = turns_until(done, 16_000).await;
    assert!(turns >= 200, "{turns}");
}

/// R3: the same of one who takes whatever there is.
#[tokio::test]
async fn a_peer_that_takes_all_there_is_keeps_no_task_waiting() {
    let topics = builder(1).topic_raw("large", Kind::State);
    let (device, done) = Eager::attach(topics, Says::Subscriptions(64), 0);
    device.publish_raw("large", &vec![7; 1 << 19]).await.unwrap();
    let turns = turns_until(done, 64).await;
    assert!(turns >= 10, "{turns}");
}

/// R3: while one peer sends without end, what sockets have for others is heard at each turn, not at each sixtieth.
#[tokio::test]
async fn a_peer_that_never_stops_sending_keeps_no_socket_waiting() {
    const ASKED: usize = 60_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut near, mut far) = (near.unwrap(), far.unwrap().0);
    let (_device, done) = Eager::attach(nothing(builder(1)), Says::Requests(1_200, 60), ASKED);
    let echo = tokio::spawn(async move {
        let mut byte = [0];
        while far.read_exact(&mut byte).await.is_ok() {
            far.write_all(&byte).await.unwrap();
        }
    });
    let rounds = tokio::spawn(async move {
        let (mut byte, mut rounds) = ([7], 0);
        while done.load(Ordering::Relaxed) < ASKED {
            near.write_all(&byte).await.unwrap();
            near.read_exact(&mut byte).await.unwrap();
            rounds += 1;
        }
        rounds
    });
    let rounds = soon(rounds).await.unwrap();
    soon(echo).await.unwrap();
    assert!(rounds > ASKED / 60 / 8, "{rounds}");
}
