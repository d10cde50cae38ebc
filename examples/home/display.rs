//! Shows what the others offer, and what they publish.

use symbolon::tokio::{Delivery, Handle, SubscribeOptions};

use crate::Failure;
use crate::member::{Member, say};
use crate::messages::{FanState, Load, Verdict};

pub async fn run() -> Result<(), Failure> {
    let member = Member::join("display", |builder| builder).await?;
    for name in ["sensor", "thermostat", "fan"] {
        let handle = member.meet(name).await?;
        // It knows what to do with what they publish; what else they can do it hears from themselves.
        let told = handle.describe().await?;
        let methods: Vec<_> = told.methods().map(|method| method.name).collect();
        let topics: Vec<_> = told.topics().map(|topic| topic.name).collect();
        say(&format!("the {name} serves {}, publishes {}", methods.join(" and "), topics.join(" and ")));
        // One subscription to all topics of a device, by a wildcard.
        tokio::spawn(show(name, handle));
    }
    member.stay().await
}

async fn show(name: &'static str, handle: Handle) {
    let Ok(mut deliveries) = handle.subscribe_raw("#", SubscribeOptions::default()).await else { return };
    while let Some(Delivery { publication: Some(publication), .. }) = deliveries.next().await {
        let text = match &*publication.topic {
            "room/load" => {
                symbolon::from_bytes(&publication.body).map(|Load { percent }| format!("{percent:3} % load"))
            }
            "fan/state" => {
                symbolon::from_bytes(&publication.body).map(|FanState { on }| format!("fan on: {on}"))
            }
            _ => symbolon::from_bytes(&publication.body)
                .map(|Verdict { too_hot }| format!("too hot: {too_hot}")),
        };
        if let Ok(text) = text {
            say(&format!("{text}   [{name}, publication {}]", publication.point.sequence));
        }
    }
}
