//! Measures how busy the machine is, makes it busy, and stops when it hears that the fan runs.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::member::{Member, say};
use crate::messages::{FanState, Load};
use crate::{Failure, load};

pub async fn run() -> Result<(), Failure> {
    let member = Member::join("sensor", |builder| builder.topic::<Load>()).await?;
    let fan = member.meet("fan").await?;

    let calm = Arc::new(AtomicBool::new(false));
    for _ in 0..load::processors() {
        let calm = calm.clone();
        thread::spawn(move || work(&calm));
    }

    let device = member.device.clone();
    tokio::spawn(async move {
        while let Ok(percent) = load::measure(Duration::from_millis(250)).await {
            if device.publish(&Load { percent }).await.is_err() {
                break;
            }
        }
    });
    tokio::spawn(async move {
        let Ok(mut states) = fan.subscribe::<FanState>().await else { return };
        while let Some(state) = states.next().await {
            if let Ok(FanState { on: true }) = state {
                calm.store(true, Ordering::Relaxed);
                say("the fan runs; no more hard work");
            }
        }
    });
    member.stay().await
}

/// Real work: looks for primes until it may be calm.
fn work(calm: &AtomicBool) {
    let mut candidate = 3_u64;
    while !calm.load(Ordering::Relaxed) {
        let is_prime =
            (3..).step_by(2).take_while(|d| d * d <= candidate).all(|d| !candidate.is_multiple_of(d));
        black_box(is_prime);
        candidate += 2;
    }
}
