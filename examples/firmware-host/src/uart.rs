//! Scenarios on the UART, with the adapter for std: the serial binding.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use symbolon::blocking::{CallError, Device, Handle, SerialLine, SubscribeOptions};
use symbolon::{Kind, Overflow};

use crate::board::Board;
use crate::messages::{ReadStats, ReadWeather, Stats};
use crate::{BOARD, FRIEND, Result, STRANGER, check, identity, image, order, scenario};

const SECOND: Duration = Duration::from_secs(1);
/// How much static RAM and heap the firmware may take together, at any time.
const RAM: u32 = 16 * 1024;

/// The wire to the board, on which something can go wrong.
#[derive(Clone)]
struct Wire {
    stream: Arc<UnixStream>,
    /// Each so many-th byte that we send is changed; 0: none.
    damage: Arc<AtomicU32>,
    sent: Arc<AtomicU32>,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bytes = bytes.to_vec();
        let every = self.damage.load(Ordering::Relaxed);
        for byte in &mut bytes {
            let sent = self.sent.fetch_add(1, Ordering::Relaxed);
            if every > 0 && sent % every == every - 1 {
                *byte ^= 0x20;
            }
        }
        (&*self.stream).write_all(&bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Our end of the line.
struct End {
    device: Device,
    line: SerialLine,
    wire: Wire,
}

impl End {
    fn open(board: &Board, key: u8) -> Result<Self> {
        let wire = Wire { stream: Arc::new(board.uart()?), damage: Arc::default(), sent: Arc::default() };
        let device = Device::builder(identity(key))
            .trust([identity(BOARD).peer_id()])
            .on_raw("echo", |_, body| Ok(body))
            .topic_raw("weather", Kind::Event { depth: 64, overflow: Overflow::DropOldest })
            .build()?;
        let stream = wire.stream.clone();
        let hang_up = move |how| drop(stream.shutdown(how));
        let line = device.serial(wire.clone(), wire.clone(), hang_up, Some(identity(BOARD).peer_id()))?;
        Ok(Self { device, line, wire })
    }

    fn session(&self) -> Result<Handle> {
        self.line.session(20 * SECOND).ok_or_else(|| "no session in 20 s".into())
    }

    fn stats(&self) -> Result<Stats> {
        self.is_well()?;
        Ok(self.session()?.call(&ReadStats {})?)
    }

    /// All is well: a session answers, perhaps the next one.
    fn is_well(&self) -> Result<()> {
        let until = Instant::now() + 30 * SECOND;
        loop {
            let answer = self.session()?.call_raw("echo", b"are you there?", Some(2 * SECOND));
            match answer {
                Ok(reply) => {
                    return check(reply[..] == b"are you there?"[..], || format!("another echo: {reply:?}"));
                }
                Err(error) if Instant::now() > until => return Err(error.into()),
                Err(_) => thread::sleep(SECOND / 20),
            }
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.line.close();
    }
}

pub fn run(board: &Board) -> Result<()> {
    scenario("uart: noise before the first session", || {
        let mut wire = board.uart()?;
        wire.write_all(&image(2_000))?;
        drop(wire);
        End::open(board, FRIEND)?.is_well()
    })?;
    let end = End::open(board, FRIEND)?;
    scenario("uart: 1,000 calls each way, at once", || calls(&end))?;
    scenario("uart: publications both ways", || publications(&end))?;
    scenario("uart: 64 KiB each way", || streams(&end))?;
    scenario("uart: frames at the limit, and one over", || limits(&end))?;
    scenario("uart: nothing is allocated for calls and publications", || memory(&end))?;
    scenario("uart: noise during a session, and tampered frames", || noise(&end))?;
    scenario("uart: calls while the firmware sleeps", || sleeping(&end))?;
    drop(end);
    scenario("uart: a stranger", || {
        let stranger = End::open(board, STRANGER)?;
        check(stranger.line.session(3 * SECOND).is_none(), || "a stranger is let in".into())
    })?;
    scenario("uart: a host that vanishes and returns", || vanishing(board))?;
    scenario("uart: a flood of noise", || {
        let mut wire = board.uart()?;
        let (noise, until) = (image(64 * 1024), Instant::now() + SECOND);
        wire.set_write_timeout(Some(SECOND))?;
        while Instant::now() < until && wire.write_all(&noise).is_ok() {}
        drop(wire);
        End::open(board, FRIEND)?.is_well()
    })?;
    scenario("uart: memory, with sessions that were replaced", || {
        let stats = End::open(board, FRIEND)?.stats()?;
        println!("           {stats:?}");
        let taken = stats.static_ram + stats.heap_peak;
        check(taken <= RAM, || format!("{taken} bytes of static RAM and heap"))
    })?;
    scenario("uart: a reboot of the board", || {
        let end = End::open(board, FRIEND)?;
        end.is_well()?;
        end.session()?.call_raw("board/reboot", b"", Some(5 * SECOND))?;
        thread::sleep(SECOND / 2);
        end.is_well()
    })?;
    board.check()
}

/// Does all that a device does with its memory, and says how much it took of it.
pub fn memory_used(board: &Board) -> Result<()> {
    let end = End::open(board, FRIEND)?;
    calls(&end)?;
    publications(&end)?;
    streams(&end)?;
    drop(end);
    vanishing(board)?;
    let Stats { static_ram, heap_peak, .. } = End::open(board, FRIEND)?.stats()?;
    println!("static-ram {static_ram}\nheap-peak {heap_peak}");
    Ok(())
}

/// Each session takes the place of one that still stands at the board.
fn vanishing(board: &Board) -> Result<()> {
    for _ in 0..3 {
        let end = End::open(board, FRIEND)?;
        end.is_well()?;
        // Without a word.
        end.wire.stream.shutdown(std::net::Shutdown::Both)?;
    }
    End::open(board, FRIEND)?.is_well()
}

fn calls(end: &End) -> Result<()> {
    let link = end.session()?;
    let theirs = {
        let link = link.clone();
        thread::spawn(move || link.call_raw("board/call", &order(1_000), Some(60 * SECOND)))
    };
    for number in 0..1_000_u32 {
        let body = [number as u8; 64];
        let reply = link.call_raw("echo", &body, Some(10 * SECOND))?;
        check(reply[..] == body, || format!("call {number}: {reply:?}"))?;
    }
    let right = theirs.join().map_err(|_| "a panic")??;
    check(right[..] == 1_000_u32.to_be_bytes(), || format!("of 1,000 calls right: {right:?}"))
}

fn publications(end: &End) -> Result<()> {
    const COUNT: u32 = 200;
    let link = end.session()?;
    let before = link.call(&ReadWeather {})?;
    let mut ticks = link.subscribe_raw("board/tick", SubscribeOptions::default())?;
    let mut lamp = link.subscribe_raw("lamp/state", SubscribeOptions::default())?;
    link.call_raw("lamp/set", &[1], Some(SECOND))?;
    loop {
        let delivery = lamp.recv_timeout(5 * SECOND).map_err(|_| "the lamp says nothing")?;
        if delivery.publication.is_some_and(|publication| publication.body[..] == [1]) {
            break;
        }
    }
    link.call_raw("board/ticks", &COUNT.to_be_bytes(), Some(SECOND))?;
    let (mut got, mut missed) = (0, 0);
    while got + missed < COUNT {
        let delivery = ticks.recv_timeout(10 * SECOND).map_err(|_| "the ticks have ended")?;
        missed += delivery.missed.count;
        got += u32::from(delivery.publication.is_some());
    }
    check(got > 0, || "all ticks were missed".into())?;
    for number in 1..=COUNT {
        end.device.publish_raw("weather", &number.to_be_bytes())?;
        thread::sleep(Duration::from_millis(1));
    }
    let until = Instant::now() + 10 * SECOND;
    loop {
        let now = link.call(&ReadWeather {})?;
        let (received, missed) = (now.received - before.received, now.missed - before.missed);
        if received > 0 && received + missed == COUNT && now.last == COUNT {
            return Ok(());
        }
        check(Instant::now() < until, || format!("{received} received, {missed} missed of {COUNT}"))?;
    }
}

fn streams(end: &End) -> Result<()> {
    const LEN: usize = 64 * 1024;
    let link = end.session()?;
    let getting = {
        let link = link.clone();
        thread::spawn(move || -> Result<()> {
            let length = (LEN as u32).to_be_bytes();
            let (expected, mut body) = link.fetch_raw("image/get", &length, Some(30 * SECOND))?;
            let mut got = Vec::new();
            body.read_to_end(&mut got)?;
            let hash: [u8; 32] = Sha256::digest(&got).into();
            check(got.len() == LEN && expected[..] == hash, || format!("{} bytes, another hash", got.len()))
        })
    };
    let bytes = image(LEN);
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let (mut body, reply) = link.open_raw("image/put", &hash, Some(30 * SECOND))?;
    body.write_all(&bytes)?;
    body.finish()?;
    let (answer, _) = reply.wait()?;
    check(answer[..] == [&[1], &hash[..]].concat(), || format!("the board has {answer:?}"))?;
    getting.join().map_err(|_| "a panic")?
}

fn limits(end: &End) -> Result<()> {
    let link = end.session()?;
    let mut longest = 1_024;
    let reply = loop {
        match link.call_raw("echo", &vec![7; longest], Some(10 * SECOND)) {
            Ok(reply) => break reply,
            Err(error) => check(longest > 900, || format!("not even {longest} bytes fit: {error}"))?,
        }
        longest -= 1;
    };
    check(reply.len() == longest, || format!("{} of {longest} bytes", reply.len()))?;
    let over = link.call_raw("echo", &vec![7; longest + 1], Some(10 * SECOND));
    check(over.is_err(), || "a longer one fits as well".into())?;
    end.is_well()
}

fn memory(end: &End) -> Result<()> {
    let link = end.session()?;
    let ask = || -> Result<Stats> { Ok(link.call(&ReadStats {})?) };
    let before = ask()?;
    for _ in 0..500 {
        link.call_raw("echo", &[7; 64], Some(10 * SECOND))?;
    }
    link.call_raw("board/call", &order(100), Some(30 * SECOND))?;
    let after = ask()?;
    println!("           {after:?}");
    let more = after.allocations - before.allocations;
    check(more == 0, || format!("{more} allocations in 600 calls"))?;
    check(after.heap_live <= before.heap_live, || {
        format!("{} bytes leaked", after.heap_live - before.heap_live)
    })?;
    check(after.stack_peak <= 12 * 1024, || format!("{} bytes of stack", after.stack_peak))
}

/// What is damaged ends a session, and the next one stands soon; nobody ever gets a wrong answer.
fn noise(end: &End) -> Result<()> {
    end.wire.damage.store(701, Ordering::Relaxed);
    let until = Instant::now() + 5 * SECOND;
    let mut right = 0;
    while Instant::now() < until {
        let Some(link) = end.line.session(SECOND) else { continue };
        if let Ok(reply) = link.call_raw("echo", &[7; 64], Some(SECOND)) {
            check(reply[..] == [7; 64], || format!("a wrong answer: {reply:?}"))?;
            right += 1;
        }
    }
    end.wire.damage.store(0, Ordering::Relaxed);
    check(right > 0, || "not one call came through".into())?;
    // Between the packets of a session that stands.
    for _ in 0..5 {
        (&*end.wire.stream).write_all(&[&[0], &image(400)[..], &[0]].concat())?;
        end.is_well()?;
    }
    Ok(())
}

fn sleeping(end: &End) -> Result<()> {
    let link = end.session()?;
    let sleep = {
        let link = link.clone();
        thread::spawn(move || link.call_raw("board/sleep", &1_500_u32.to_be_bytes(), Some(10 * SECOND)))
    };
    let calls: Vec<_> = (0..20_u8)
        .map(|number| {
            let link = link.clone();
            thread::spawn(move || {
                loop {
                    match link.call_raw("echo", &[number; 300], Some(20 * SECOND)) {
                        Err(CallError::Busy(retry)) => thread::sleep(retry),
                        reply => return matches!(reply, Ok(reply) if reply[..] == [number; 300]),
                    }
                }
            })
        })
        .collect();
    let right = calls.into_iter().map(|call| call.join().unwrap_or(false)).filter(|right| *right).count();
    sleep.join().map_err(|_| "a panic")??;
    check(right == 20, || format!("{right} of 20 calls were answered"))?;
    end.is_well()
}
