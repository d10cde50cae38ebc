//! Whom a connection's events are for, and what is asked of it from here.

use core::task::Waker;

use super::device::Device;
use super::handle::Responder;
use super::link::Link;
use super::served::Served;
use crate::adapter::trace;
use crate::{CloseReason, Connection, Event, ExchangeId, Instant, LinkId, PeerId};

/// Where a runner's events are sorted: the peer's subscriptions, the handles' exchanges, and what is left for the
/// program.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) device: &'a Device,
    link: &'a Link,
    id: LinkId,
    served: Served,
    peer: Option<PeerId>,
    /// Which connection the handles reach, by its handshake's hash.
    current: Option<[u8; 32]>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(device: &'a Device, link: &'a Link) -> Self {
        let id = device.next_link();
        link.begin(id, device);
        Self { device, link, id, served: Served::new(device, id), peer: None, current: None }
    }

    /// Whom to wake where something is published, or asked.
    pub(super) fn register(&self, waker: &Waker) {
        self.device.register(self.id, waker);
        if let Some(mut table) = self.link.owned_by(self.id) {
            table.set_runner(waker);
        }
    }

    /// Whether this is the connection that the handles reach, or one that has just come to stand.
    pub(super) fn knows(&self, connection: &mut Connection) -> bool {
        let hash = connection.channel_binding();
        (hash.is_some() && self.current == hash)
            || matches!(connection.peek_event(), Some(Event::Connected { .. }))
    }

    /// Takes the events that are not the program's; whether one waits that is.
    pub(super) fn sort(&mut self, connection: &mut Connection) -> bool {
        let hash = connection.channel_binding();
        while let Some(event) = connection.peek_event() {
            match event {
                Event::Connected { peer } => {
                    self.on_connected(peer, hash);
                    return true;
                }
                Event::Closed { reason } => {
                    self.on_closed(reason, hash);
                    return true;
                }
                _ => {}
            }
            let taken = self.served.take(self.device, self.peer, &event)
                || self.link.owned_by(self.id).is_some_and(|mut table| table.take(&event));
            if !taken {
                return true;
            }
            let _taken = connection.poll_event();
        }
        false
    }

    fn on_connected(&mut self, peer: PeerId, hash: Option<[u8; 32]>) {
        (self.peer, self.current) = (Some(peer), hash);
        trace::connected(peer);
        if let Some(mut table) = self.link.owned_by(self.id) {
            table.on_connected(peer);
        }
    }

    fn on_closed(&mut self, reason: CloseReason, hash: Option<[u8; 32]>) {
        trace::closed(self.peer, reason);
        if self.current != hash {
            return;
        }
        self.current = None;
        self.served.clear(self.device);
        if let Some(mut table) = self.link.owned_by(self.id) {
            table.on_closed();
        }
    }

    /// Carries out what handles ask, and what is owed to subscribers; gives a body of the program's that has room again.
    pub(super) fn settle(&mut self, connection: &mut Connection, now: Instant) -> Option<ExchangeId> {
        self.served.settle(self.device, connection);
        let mut table = self.link.owned_by(self.id);
        if let Some(table) = &mut table {
            table.settle(connection, now);
        }
        let owned = |id: &ExchangeId| table.as_ref().is_some_and(|table| table.owns(*id));
        core::iter::from_fn(|| connection.poll_writable()).find(|id| !owned(id))
    }

    /// When something that was asked is too late.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.link.owned_by(self.id).and_then(|table| table.next_deadline())
    }

    pub(super) fn responder(&self, request: ExchangeId) -> Responder<'a> {
        let connection = self.link.owned_by(self.id).and_then(|mut table| table.owe(request));
        Responder::new(self.link, connection, request)
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        self.link.leave(self.id);
        self.device.forget(self.id);
    }
}
