//! Watches the load, and has the fan switched when it crosses the threshold.

use crate::Failure;
use crate::member::{Member, say};
use crate::messages::{FanState, Load, SetFan, Verdict};

/// In percent; off again well below, so that the fan does not flutter.
const TOO_HOT: u8 = 60;
const COOL: u8 = 30;

pub async fn run() -> Result<(), Failure> {
    let member = Member::join("thermostat", |builder| builder.topic::<Verdict>()).await?;
    let sensor = member.meet("sensor").await?;
    let fan = member.meet("fan").await?;
    let device = member.device.clone();
    let control = tokio::spawn(async move {
        let mut loads = sensor.subscribe::<Load>().await?;
        let mut too_hot = false;
        while let Some(load) = loads.next().await {
            // A gap is no harm: the next load tells more than the lost ones.
            let Ok(Load { percent }) = load else { continue };
            let now = if too_hot { percent >= COOL } else { percent >= TOO_HOT };
            if now != too_hot {
                too_hot = now;
                device.publish(&Verdict { too_hot }).await?;
                let FanState { on } = fan.call(&SetFan { on: too_hot }).await?;
                say(&format!("{percent} % load: the fan is {}", if on { "on" } else { "off" }));
            }
        }
        Ok::<_, Failure>(())
    });
    tokio::try_join!(member.stay(), async { control.await? })?;
    Ok(())
}
