//! Runs when it is told to, and tells everyone that it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Failure;
use crate::member::{Member, say};
use crate::messages::{About, FanState, SetFan};

pub async fn run() -> Result<(), Failure> {
    let running = Arc::new(AtomicBool::new(false));
    let member = Member::join("fan", |builder| {
        builder.topic::<FanState>().on(move |context, SetFan { on }| {
            let running = running.clone();
            async move {
                let was = running.swap(on, Ordering::Relaxed);
                // A handler may ask back and publish on the connection that it serves.
                let caller = context.handle().call(&About).await.map(|about| about.name);
                let caller = caller.unwrap_or_else(|_| context.peer().short().to_string());
                say(&format!("switched {} by the {caller}", if on { "on" } else { "off" }));
                let state = FanState { on };
                if was != on {
                    context.handle().publish(&state).await?;
                }
                Ok(state)
            }
        })
    })
    .await?;
    member.stay().await
}
