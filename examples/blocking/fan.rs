//! Watches the load, and switches itself on when it crosses the threshold; or does as it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use symbolon::blocking::Device;
use symbolon::{CloseReason, PublishError, Status};

use crate::Failure;
use crate::introduction::Introduction;
use crate::messages::{FanState, Load, Pace, SetFan, SetPace};

/// In percent; off again well below, so that the fan does not flutter.
const TOO_HOT: u8 = 60;
const COOL: u8 = 30;
/// How often to hear of the load.
const PACE: SetPace = SetPace { milliseconds: 250 };

/// What the thermostat and `fan/set` share.
#[derive(Default)]
struct Fan {
    switch: Mutex<Switch>,
    calls: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct Switch {
    on: bool,
    by_hand: bool,
}

impl Fan {
    /// Switches, and tells everyone.
    fn set(&self, device: &Device, wanted: Switch, whose: &str) -> Result<(), PublishError> {
        let before = {
            let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
            if switch.by_hand && !wanted.by_hand {
                return Ok(());
            }
            std::mem::replace(&mut *switch, wanted)
        };
        if before.on != wanted.on {
            println!("switched {} {whose}", if wanted.on { "on" } else { "off" });
            device.publish(&FanState { on: wanted.on })?;
        }
        Ok(())
    }
}

pub fn run() -> Result<(), Failure> {
    let Introduction { identity, peer, .. } = Introduction::read()?;
    let fan = Arc::new(Fan::default());
    let served = fan.clone();
    let device = Device::builder(identity)
        .trust([peer])
        .topic::<FanState>()
        .on(move |context, SetFan { on }| {
            served.calls.fetch_add(1, Ordering::Relaxed);
            let whose = format!("by {}, who has called", context.peer().short());
            served.set(context.handle().device(), Switch { on, by_hand: true }, &whose)?;
            Ok(FanState { on })
        })
        .build()?;
    let server = device.listen("127.0.0.1:0")?.spawn()?;
    println!("address {}", server.local_addr());
    let sensor = server.accept().ok_or("the sensor does not come")?;

    // Who dialled makes no difference: the one who was dialled calls and subscribes as well.
    let Pace { milliseconds } = sensor.call(&PACE)?;
    println!("hears of the load every {milliseconds} ms");
    let (mut heard, mut on) = (0_u64, false);
    for load in sensor.subscribe::<Load>()? {
        // A gap is no harm: the next load tells more than the lost ones.
        let Ok(Load { percent }) = load else { continue };
        heard += 1;
        println!("{percent:3} % load");
        on = if on { percent >= COOL } else { percent >= TOO_HOT };
        fan.set(&device, Switch { on, by_hand: false }, "by its thermostat")?;
    }
    match sensor.closed() {
        CloseReason::Remote(Status::OK) => println!("the sensor has taken its leave"),
        other => return Err(format!("the sensor: {other}").into()),
    }
    println!("summary loads heard of: {heard}, calls answered: {}", fan.calls.load(Ordering::Relaxed));
    Ok(())
}
