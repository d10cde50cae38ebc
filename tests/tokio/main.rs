//! The tokio adapter, over sockets of the loopback interface and over streams in memory.

mod by_hand;
#[path = "../common/bytes.rs"]
mod bytes;
mod calls;
mod cancel_safety;
mod closing;
mod connections;
mod descriptions;
mod endings;
mod fairness;
mod handlers;
mod keeping;
#[path = "../common/lent.rs"]
mod lent;
mod publications;
mod streams;
#[path = "../common/stubborn.rs"]
mod stubborn;
mod types;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minicbor::{Decode, Encode};
use symbolon::tokio::{Builder, Context, Device, Handle, Meeting, meet};
use symbolon::{Identity, Limits, Request, SecretKey, Seed, Timeouts};
use tokio::sync::Semaphore;

pub const SECOND: Duration = Duration::from_secs(1);

/// A request with a type, and its reply.
#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Double(#[n(0)] pub u32);

#[derive(Clone, Copy, Debug, Decode, Encode, Eq, PartialEq)]
pub struct Doubled(#[n(0)] pub u32);

impl Request for Double {
    const METHOD: &'static str = "math/double";
    type Reply = Doubled;
}

pub fn identity(number: u8) -> Identity {
    Identity::new(&SecretKey::from_bytes([number; 32]), Seed::random().unwrap())
}

/// A device that lets everyone in, and knows `math/double` and `echo`.
pub fn builder(number: u8) -> Builder {
    Device::builder(identity(number))
        .admit(|_| true)
        .on(|_, Double(number)| async move { Ok(Doubled(number * 2)) })
        .on_raw("echo", |_, body| async move { Ok(body) })
}

pub fn device(number: u8) -> Device {
    builder(number).build().unwrap()
}

pub fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

pub fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Timeouts {
    let mut timeouts = Timeouts::default();
    change(&mut timeouts);
    timeouts
}

/// Two devices in the order of their peer ids.  SPEC §18
pub fn smaller_and_larger(one: Device, other: Device) -> (Device, Device) {
    if one.peer_id() < other.peer_id() { (one, other) } else { (other, one) }
}

/// Over TCP: the dialler's handle, and the other's.
pub async fn over_tcp(dialler: &Device, dialled: &Device) -> (Handle, Handle) {
    let mut listener = dialled.listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(dialler.connect(address, dialled.peer_id()), listener.accept());
    (ours.unwrap(), theirs.unwrap())
}

/// In memory, with room for `capacity` bytes each way.
pub async fn in_memory(dialler: &Device, dialled: &Device, capacity: usize) -> (Handle, Handle) {
    let Meeting { initiator, responder, .. } = meet(dialler, dialled, capacity).await.unwrap();
    (initiator, responder)
}

/// Fails a test that hangs.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it hangs")
}

/// Lets all other tasks run until they wait, without letting time pass.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Waits until a condition holds that others bring about.
pub async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A handler that stays until it is let go, and counts who came, who is there and how many at most were.
#[derive(Clone, Default)]
pub struct Room(Arc<RoomInner>);

impl Default for RoomInner {
    fn default() -> Self {
        let zero = AtomicUsize::default;
        Self { entered: zero(), inside: zero(), most: zero(), door: Semaphore::new(0) }
    }
}

struct RoomInner {
    entered: AtomicUsize,
    inside: AtomicUsize,
    most: AtomicUsize,
    door: Semaphore,
}

impl Room {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn serve(&self, builder: Builder) -> Builder {
        let room = self.clone();
        builder.on_raw("stay", move |_: Context, body| {
            let room = room.clone();
            async move {
                room.stay().await;
                Ok(body)
            }
        })
    }

    pub async fn stay(&self) {
        let _visit = self.enter();
        self.0.door.acquire().await.unwrap().forget();
    }

    fn enter(&self) -> Visit {
        self.0.entered.fetch_add(1, Ordering::SeqCst);
        let inside = self.0.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(inside, Ordering::SeqCst);
        Visit(self.clone())
    }

    pub fn let_go(&self, visitors: usize) {
        self.0.door.add_permits(visitors);
    }

    pub fn entered(&self) -> usize {
        self.0.entered.load(Ordering::SeqCst)
    }

    pub fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }

    pub fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

struct Visit(Room);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}
