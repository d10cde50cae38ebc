//! The other direction: this device calls its peer, and subscribes to what the peer publishes.
//!
//! It runs beside the loop that serves, and reaches the connection through a [`Handle`].

use core::time::Duration;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::Timer;
use symbolon::Status;
use symbolon::embassy::{Handle, RawSubscription, Responder, SubscribeOptions};

use crate::app::App;

/// How many exchanges are open at once: a call, a subscription, and the answer to a request.
pub const EXCHANGES: usize = 3;
/// Memory for them.  The longest is a call with a method's name and its body, and the reply.
pub const MEMORY: usize = EXCHANGES * (Order::MAX_NAME + 2 * BODY.len() + 32);
const BODY: [u8; 64] = [b'?'; 64];
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls that somebody has ordered; each with whom to tell.
pub type Orders<'d> = Channel<NoopRawMutex, (Responder<'d>, Order), 1>;

/// To call a method of the peer's, so many times.
pub struct Order {
    count: u32,
    method: [u8; Self::MAX_NAME],
    len: usize,
}

impl Order {
    const MAX_NAME: usize = 32;

    /// The order in these bytes: four for the number, and the method's name.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (count, name) = bytes.split_first_chunk()?;
        let mut method = [0; Self::MAX_NAME];
        core::str::from_utf8(name).ok()?;
        method.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self { count: u32::from_be_bytes(*count), method, len: name.len() })
    }

    fn method(&self) -> &str {
        core::str::from_utf8(&self.method[..self.len]).unwrap_or_default()
    }
}

/// Calls and subscribes, on each connection of a link, for as long as the program runs.
pub async fn run(app: &App, peer: Handle<'_>, orders: &Orders<'_>) {
    join(carry_out(peer, orders), watch_weather(app, peer)).await;
}

/// Calls the peer as often as was ordered, and tells how often the answer was right.
async fn carry_out(peer: Handle<'_>, orders: &Orders<'_>) {
    loop {
        let (responder, order) = orders.receive().await;
        let mut right = 0_u32;
        for _ in 0..order.count {
            let mut reply = [0; BODY.len()];
            let answer = peer.call_raw(order.method(), &BODY, &mut reply, Some(PATIENCE)).await;
            right += u32::from(answer == Ok(&BODY[..]));
        }
        // Refused where nobody waits any more.
        let _gone = responder.respond(Status::OK, &right.to_be_bytes()).await;
    }
}

/// Subscribes to the peer's weather, on each connection anew.
async fn watch_weather(app: &App, peer: Handle<'_>) {
    loop {
        peer.connected().await;
        match peer.subscribe_raw("weather", SubscribeOptions::default()).await {
            Ok(subscription) => count(app, subscription).await,
            // It has none, and will have none on this connection.
            Err(_) => peer.disconnected().await,
        }
        // So that a peer which ends each subscription at once is not asked all the time.
        Timer::after_millis(100).await;
    }
}

async fn count(app: &App, mut subscription: RawSubscription<'_>) {
    let mut buffer = [0; 64];
    while let Some(delivery) = subscription.next(&mut buffer).await {
        let mut weather = app.weather.get();
        weather.missed += delivery.missed.count;
        if let Some(publication) = delivery.publication
            && let Ok(number) = publication.body.try_into()
        {
            weather.received += 1;
            weather.last = u32::from_be_bytes(number);
        }
        app.weather.set(weather);
    }
}
