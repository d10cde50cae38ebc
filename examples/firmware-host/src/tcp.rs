//! Scenarios over TCP, with the adapter for tokio: we dial the board, and the board dials us.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use symbolon::tokio::{CallError, Device, Handle};
use symbolon::{CloseReason, Kind, Overflow, Status, SubscribeOptions};
use tokio::io::AsyncReadExt;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::board::Board;
use crate::hostile::ByHand;
use crate::messages::{ReadSensor, ReadStats, ReadWeather};
use crate::{BOARD, FRIEND, Result, STRANGER, check, identity, image, order, scenario};

const SECOND: Duration = Duration::from_secs(1);

struct Host<'a> {
    board: &'a Board,
    device: Device,
    runtime: Runtime,
}

pub fn run(board: &Board) -> Result<()> {
    let runtime = Runtime::new()?;
    let weather = Kind::Event { depth: 64, overflow: Overflow::DropOldest };
    let device = Device::builder(identity(FRIEND))
        .trust([identity(BOARD).peer_id()])
        .on_raw("echo", |_, body| async move { Ok(body) })
        .topic_raw("weather", weather)
        .build()?;
    let host = Host { board, device, runtime };
    scenario("tcp: the board dials us", || host.is_dialled())?;
    scenario("tcp: 1,000 calls each way, at once", || host.calls())?;
    scenario("tcp: two connections at once", || host.two())?;
    scenario("tcp: publications both ways", || host.publications())?;
    scenario("tcp: 64 KiB each way", || host.streams())?;
    scenario("tcp: frames at the limit, and one over", || host.limits())?;
    scenario("tcp: a tampered frame", || host.tampered())?;
    scenario("tcp: a stranger", || host.stranger())?;
    scenario("tcp: noise instead of a handshake", || host.noise())?;
    scenario("tcp: stopping in the middle of a frame, and vanishing", || host.vanishing())?;
    scenario("tcp: a flood", || host.flood())?;
    scenario("tcp: calls while the firmware sleeps", || host.sleeping())?;
    scenario("tcp: memory", || host.memory())?;
    scenario("tcp: a reboot of the board", || host.reboot())?;
    board.check()
}

impl Host<'_> {
    /// A connection that we dial; patient with a board that has to find out that the last one is gone.
    async fn connect(&self) -> Result<Handle> {
        let until = Instant::now() + 20 * SECOND;
        loop {
            let peer = identity(BOARD).peer_id();
            let connecting = timeout(5 * SECOND, self.device.dial(("127.0.0.1", self.board.port), peer));
            match connecting.await {
                Ok(Ok(handle)) => return Ok(handle),
                _ if Instant::now() < until => tokio::time::sleep(SECOND / 10).await,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err("no connection in time".into()),
            }
        }
    }

    async fn echo(&self, link: &Handle) -> Result<()> {
        let reply = link.call_raw("echo", b"are you there?", Some(10 * SECOND)).await?;
        check(reply[..] == b"are you there?"[..], || format!("another echo: {reply:?}"))
    }

    /// All is well: a new connection answers.
    fn is_well(&self) -> Result<()> {
        self.board.check()?;
        self.runtime.block_on(async {
            let link = self.connect().await?;
            self.echo(&link).await?;
            link.close().await;
            Ok(())
        })
    }

    /// A connection by hand.
    fn by_hand(&self, key: u8) -> Result<ByHand<TcpStream>> {
        let stream = TcpStream::connect(("127.0.0.1", self.board.port))?;
        stream.set_read_timeout(Some(Duration::from_millis(10)))?;
        stream.set_nodelay(true)?;
        ByHand::dial(stream, key)
    }

    /// The same, once both sides have let each other in.  The board has two sockets for those who dial, and nobody waits in
    /// line for them: where the last one is not given up yet, this tries again.
    fn connected_by_hand(&self) -> Result<ByHand<TcpStream>> {
        let until = Instant::now() + 20 * SECOND;
        loop {
            let mut link = self.by_hand(FRIEND)?;
            match link.connect() {
                Ok(()) => return Ok(link),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => std::thread::sleep(SECOND / 10),
            }
        }
    }

    fn is_dialled(&self) -> Result<()> {
        let (stream, _) = self.board.peer.accept()?;
        stream.set_nonblocking(true)?;
        self.runtime.block_on(async {
            let stream = tokio::net::TcpStream::from_std(stream)?;
            let admission = symbolon::Admission::expect(identity(BOARD).peer_id());
            let (link, runner) = self.device.attach(stream, symbolon::Role::Responder, admission)?;
            tokio::spawn(runner.run());
            timeout(10 * SECOND, link.connected()).await??;
            self.echo(&link).await?;
            let measured = link.call(&ReadSensor {}).await?;
            let is_room = (-40_000..80_000).contains(&measured.millidegrees) && measured.uptime > 0;
            check(is_room, || format!("not of this world: {measured:?}"))?;
            link.close().await;
            Ok(())
        })
    }

    fn calls(&self) -> Result<()> {
        self.runtime.block_on(async {
            let link = self.connect().await?;
            let ours = async {
                for number in 0..1_000_u32 {
                    let body = [number as u8; 64];
                    let reply = link.call_raw("echo", &body, Some(10 * SECOND)).await?;
                    check(reply[..] == body, || format!("call {number}: {reply:?}"))?;
                }
                Ok(())
            };
            let theirs = async {
                let right = link.call_raw("board/call", &order(1_000), Some(60 * SECOND)).await?;
                check(right[..] == 1_000_u32.to_be_bytes(), || format!("of 1,000 calls right: {right:?}"))
            };
            let (ours, theirs): (Result<()>, Result<()>) = tokio::join!(ours, theirs);
            ours.and(theirs)?;
            link.close().await;
            Ok(())
        })
    }

    fn two(&self) -> Result<()> {
        // By one key, so one of them makes way for the other, or both stand; the board goes on in any case.
        self.runtime.block_on(async {
            let first = self.connect().await?;
            self.echo(&first).await?;
            let second = self.connect().await?;
            self.echo(&second).await?;
            second.close().await;
            first.close().await;
            Ok(())
        })
    }

    fn publications(&self) -> Result<()> {
        const COUNT: u32 = 200;
        self.runtime.block_on(async {
            let link = self.connect().await?;
            let before = link.call(&ReadWeather {}).await?;
            let mut ticks = link.subscribe_raw("board/tick", SubscribeOptions::default()).await?;
            let mut lamp = link.subscribe_raw("lamp/state", SubscribeOptions::default()).await?;
            link.call_raw("lamp/set", &[1], Some(SECOND)).await?;
            loop {
                let delivery = timeout(5 * SECOND, lamp.next()).await?.ok_or("the lamp has gone")?;
                if delivery.publication.is_some_and(|publication| publication.body[..] == [1]) {
                    break;
                }
            }
            link.call_raw("board/ticks", &COUNT.to_be_bytes(), Some(SECOND)).await?;
            let (mut got, mut missed) = (0, 0);
            while got + missed < COUNT {
                let delivery = timeout(10 * SECOND, ticks.next()).await?.ok_or("the ticks have ended")?;
                missed += delivery.missed.count;
                if let Some(publication) = delivery.publication {
                    let number = u32::from_be_bytes(publication.body[..].try_into()?);
                    check(number == got + missed, || {
                        format!("tick {number} after {got} and {missed} missed")
                    })?;
                    got += 1;
                }
            }
            check(got > 0, || "all ticks were missed".into())?;
            for number in 1..=COUNT {
                self.device.publish_raw("weather", &number.to_be_bytes()).await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let until = Instant::now() + 10 * SECOND;
            loop {
                let now = link.call(&ReadWeather {}).await?;
                let (received, missed) = (now.received - before.received, now.missed - before.missed);
                if received > 0 && received + missed == COUNT && now.last == COUNT {
                    break;
                }
                check(Instant::now() < until, || format!("{received} received, {missed} missed of {COUNT}"))?;
            }
            link.close().await;
            Ok(())
        })
    }

    fn streams(&self) -> Result<()> {
        const LEN: usize = 64 * 1024;
        self.runtime.block_on(async {
            let link = self.connect().await?;
            let bytes = image(LEN);
            let hash: [u8; 32] = Sha256::digest(&bytes).into();
            let put = async {
                let (mut body, reply) = link.open_raw("image/put", &hash, Some(30 * SECOND)).await?;
                body.write_all(&bytes).await?;
                body.finish()?;
                let (answer, _) = reply.wait().await?;
                check(answer[..] == [&[1], &hash[..]].concat(), || format!("the board has {answer:?}"))
            };
            let get = async {
                let length = (LEN as u32).to_be_bytes();
                let (expected, mut body) = link.fetch_raw("image/get", &length, Some(30 * SECOND)).await?;
                let mut got = Vec::new();
                body.read_to_end(&mut got).await?;
                let hash: [u8; 32] = Sha256::digest(&got).into();
                check(got.len() == LEN && expected[..] == hash, || {
                    format!("{} bytes, another hash", got.len())
                })
            };
            let (put, get): (Result<()>, Result<()>) = tokio::join!(put, get);
            put.and(get)?;
            link.close().await;
            Ok(())
        })
    }

    fn limits(&self) -> Result<()> {
        self.runtime.block_on(async {
            let link = self.connect().await?;
            // The longest that is taken is found by trying; the next is refused here, and changes nothing.
            let mut longest = 1_024;
            let error = loop {
                match link.call_raw("echo", &vec![7; longest], Some(10 * SECOND)).await {
                    Err(_) => longest -= 1,
                    Ok(reply) => {
                        check(reply.len() == longest, || format!("{} of {longest} bytes", reply.len()))?;
                        break link.call_raw("echo", &vec![7; longest + 1], Some(10 * SECOND)).await;
                    }
                }
                check(longest > 700, || format!("not even {longest} bytes fit"))?;
            };
            check(error.is_err(), || "a longer one fits as well".into())?;
            self.echo(&link).await?;
            link.close().await;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        let mut over = self.connected_by_hand()?;
        over.stream.write_all(&1_025_u16.to_be_bytes())?;
        let reason = over.expect_end()?;
        check(reason == CloseReason::Remote(Status::VIOLATION), || format!("one over: {reason}"))?;
        self.is_well()
    }

    fn tampered(&self) -> Result<()> {
        let mut link = self.connected_by_hand()?;
        let now = link.now();
        link.connection.request(now, "echo", b"whole", None)?;
        link.send(|bytes| *bytes.last_mut().expect("a frame") ^= 1)?;
        let reason = link.expect_end()?;
        check(reason == CloseReason::Remote(Status::VIOLATION), || format!("tampered: {reason}"))?;
        self.is_well()
    }

    fn stranger(&self) -> Result<()> {
        self.runtime.block_on(async {
            let link = self.connect().await?;
            for _ in 0..3 {
                let mut stranger = self.by_hand(STRANGER)?;
                check(stranger.connect().is_err(), || "a stranger is let in".into())?;
                let reason = stranger.closed.ok_or("the stranger waits")?;
                check(reason == CloseReason::Remote(Status::REFUSED), || format!("stranger: {reason}"))?;
                self.echo(&link).await?;
            }
            link.close().await;
            Ok(())
        })
    }

    fn noise(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.board.port))?;
        // Refused somewhere in it: the board hangs up at the first byte that is none of symbolon's.
        let _cut = stream.write_all(&image(4096));
        drop(stream);
        self.is_well()
    }

    fn vanishing(&self) -> Result<()> {
        for _ in 0..3 {
            let mut link = self.connected_by_hand()?;
            let now = link.now();
            link.connection.request(now, "echo", &[7; 200], None)?;
            link.send(|bytes| bytes.truncate(bytes.len() / 2))?;
            // Without a word.
            drop(link);
            self.is_well()?;
        }
        Ok(())
    }

    fn flood(&self) -> Result<()> {
        let mut link = self.connected_by_hand()?;
        let until = Instant::now() + SECOND;
        let mut asked = 0;
        // As many as it takes, as fast as it takes them, and no answer is read until it takes no more.
        while Instant::now() < until && link.closed.is_none() {
            let now = link.now();
            while link.connection.request(now, "echo", &[7; 500], None).is_ok() {
                asked += 1;
            }
            link.send(|_| {})?;
            if !link.receive()? {
                break;
            }
        }
        drop(link);
        check(asked > 10, || format!("asked {asked} times"))?;
        // And one that writes without end what is no frame at all.
        let mut raw = self.connected_by_hand()?;
        raw.stream.set_write_timeout(Some(SECOND))?;
        let junk = image(32 * 1024);
        while raw.stream.write_all(&junk).is_ok() && Instant::now() < until + 3 * SECOND {}
        drop(raw);
        self.is_well()
    }

    fn sleeping(&self) -> Result<()> {
        self.runtime.block_on(async {
            let link = self.connect().await?;
            let time = 1_500_u32.to_be_bytes();
            let sleep = link.call_raw("board/sleep", &time, Some(10 * SECOND));
            let calls = async {
                let mut tasks = Vec::new();
                for number in 0..100_u8 {
                    let link = link.clone();
                    tasks.push(tokio::spawn(async move {
                        loop {
                            match link.call_raw("echo", &[number; 300], Some(20 * SECOND)).await {
                                Err(CallError::Busy(retry)) => tokio::time::sleep(retry).await,
                                reply => return matches!(reply, Ok(reply) if reply[..] == [number; 300]),
                            }
                        }
                    }));
                }
                let mut right = 0;
                for task in tasks {
                    right += u32::from(task.await.unwrap_or(false));
                }
                right
            };
            let (sleep, right) = tokio::join!(sleep, calls);
            sleep?;
            check(right == 100, || format!("{right} of 100 calls were answered"))?;
            link.close().await;
            Ok(())
        })
    }

    fn memory(&self) -> Result<()> {
        self.runtime.block_on(async {
            let link = self.connect().await?;
            for _ in 0..200 {
                self.echo(&link).await?;
            }
            let stats = link.call(&ReadStats {}).await?;
            println!("           {stats:?}");
            check(stats.stack_peak <= 16 * 1024, || format!("{} bytes of stack", stats.stack_peak))?;
            link.close().await;
            Ok(())
        })
    }

    fn reboot(&self) -> Result<()> {
        self.runtime.block_on(async {
            let link = self.connect().await?;
            link.call_raw("board/reboot", b"", Some(5 * SECOND)).await?;
            drop(link);
            tokio::time::sleep(SECOND).await;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        self.is_well()
    }
}
