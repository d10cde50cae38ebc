//! Measures how busy the machine is, makes it busy, and stops when it hears that the fan runs.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use symbolon::blocking::{Device, Handle};
use symbolon::{CloseReason, Status};

use crate::introduction::Introduction;
use crate::load::{Meter, processors};
use crate::messages::{FanState, Load, Pace, SetFan, SetPace};
use crate::{Failure, PATIENCE};

/// How long the sensor waits before it works hard.
const CALM_BEFORE: Duration = Duration::from_millis(1_000);

pub fn run() -> Result<(), Failure> {
    let Introduction { identity, peer, address } = Introduction::read()?;
    let address = address.ok_or("nobody said where the fan listens")?;
    let (pace, calls) = (Arc::new(AtomicU32::new(1_000)), Arc::new(AtomicU64::new(0)));
    let (asked, counted) = (pace.clone(), calls.clone());
    let device = Device::builder(identity)
        .topic::<Load>()
        .on(move |_, SetPace { milliseconds }| {
            counted.fetch_add(1, Ordering::Relaxed);
            asked.store(milliseconds, Ordering::Relaxed);
            println!("measures every {milliseconds} ms, as the fan wants it");
            Ok(Pace { milliseconds })
        })
        .build()?;
    // Dialled by its key: nobody else can answer.
    let fan = device.connect(address, peer)?;
    println!("met the fan ({})", peer.short());

    let calm = Arc::new(AtomicBool::new(false));
    for _ in 0..processors() {
        let calm = calm.clone();
        thread::spawn(move || work(&calm));
    }
    let published = Arc::new(AtomicU64::new(0));
    let count = published.clone();
    thread::spawn(move || {
        let mut meter = Meter::start();
        loop {
            thread::sleep(Duration::from_millis(pace.load(Ordering::Relaxed).into()));
            let Ok(percent) = meter.read() else { break };
            // The policy of this topic never waits for a slow subscriber.
            if device.publish(&Load { percent }).is_err() {
                break;
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    });

    wait_for_fan(&fan)?;
    println!("the fan runs; no more hard work");
    calm.store(true, Ordering::Relaxed);
    let FanState { on } = fan.call(&SetFan { on: false })?;
    if on {
        return Err("the fan does not do what it is told".into());
    }
    match fan.close() {
        CloseReason::Local(Status::OK) => {}
        other => return Err(format!("the fan: {other}").into()),
    }
    let (published, calls) = (published.load(Ordering::Relaxed), calls.load(Ordering::Relaxed));
    println!("summary loads published: {published}, calls answered: {calls}");
    Ok(())
}

/// Reads what the fan publishes until it runs.
fn wait_for_fan(fan: &Handle) -> Result<(), Failure> {
    let mut states = fan.subscribe::<FanState>()?;
    let begun = Instant::now();
    loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let state = states.recv_timeout(left).map_err(|_| "the fan was not switched on in time")?;
        // A gap is no harm: of a state topic only the latest value counts.
        if let Ok(FanState { on: true }) = state {
            return Ok(());
        }
    }
}

/// Real work: looks for primes until it may be calm.
fn work(calm: &AtomicBool) {
    // Calm at first as well, so that there is something to see.
    thread::sleep(CALM_BEFORE);
    let mut candidate = 3_u64;
    while !calm.load(Ordering::Relaxed) {
        let is_prime =
            (3..).step_by(2).take_while(|d| d * d <= candidate).all(|d| !candidate.is_multiple_of(d));
        black_box(is_prime);
        candidate += 2;
    }
}
