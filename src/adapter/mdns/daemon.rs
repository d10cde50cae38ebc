//! The thread that listens to what the library of multicast DNS has heard, and makes it forget what is too much.

use std::collections::HashMap;
use std::format;
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::string::{String, ToString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};
use std::vec::Vec;

use mdns_sd::{
    IfKind, MDNS_PORT, Receiver, RecvTimeoutError, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent,
    ServiceInfo,
};

use super::Found;
use super::table::Table;
use super::watchers::{Watcher, Watchers};
use crate::PeerId;
use crate::adapter::host::link::lock;
use crate::adapter::host::socket;

/// SPEC §23
const SERVICE: &str = "_symbolon._tcp.local.";
const ID: &str = "id";

/// How often it is looked whether too much was heard.
const TICK: Duration = Duration::from_secs(1);
/// How many records the library may hold.  256 devices with eight addresses each have fewer.
const RECORDS: i64 = 4_096;
/// How many events are taken in before somebody is told of them.
const EVENTS: usize = 512;
/// How long the library may take to do what it was told.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Daemon {
    loopback: bool,
    library: Mutex<ServiceDaemon>,
    /// What this program makes known, by name: told again where the library begins anew.
    registered: Mutex<HashMap<String, ServiceInfo>>,
    table: Mutex<Table>,
    watchers: Watchers,
    /// What was left out before may be wanted now.
    ask_again: AtomicBool,
}

impl Daemon {
    pub(super) fn new(loopback: bool) -> io::Result<Arc<Self>> {
        let (library, events) = start(loopback)?;
        let daemon = Arc::new(Self {
            loopback,
            library: Mutex::new(library),
            registered: Mutex::default(),
            table: Mutex::new(Table::new(loopback)),
            watchers: Watchers::default(),
            ask_again: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&daemon);
        thread::Builder::new().name("symbolon-mdns".to_string()).spawn(move || listen(&weak, events))?;
        Ok(daemon)
    }

    /// Makes this known; under the name that takes it back.
    pub(super) fn register(&self, peer: PeerId, port: u16) -> io::Result<String> {
        // The id is in the record: a name is only to be another than others'.
        let name = format!("{:.16}-{port}", peer.to_string());
        let host = format!("{name}.local.");
        let service = ServiceInfo::new(SERVICE, &name, &host, "", port, &[(ID, peer.to_string())][..])
            .map_err(io::Error::other)?
            .enable_addr_auto();
        let name = service.get_fullname().to_string();
        let mut registered = lock(&self.registered);
        lock(&self.library).register(service.clone()).map_err(io::Error::other)?;
        registered.insert(name.clone(), service);
        Ok(name)
    }

    pub(super) fn unregister(&self, name: &str) {
        let mut registered = lock(&self.registered);
        registered.remove(name);
        // Where that fails the library has ended, and with it what it made known.
        let _ended = lock(&self.library).unregister(name);
    }

    pub(super) fn devices(&self) -> Vec<Found> {
        lock(&self.table).devices()
    }

    pub(super) fn watch(
        &self,
        peer: Option<PeerId>,
        changed: impl FnMut(Found) + Send + 'static,
    ) -> Arc<Watcher> {
        self.watchers.add(peer, changed, || {
            let mut table = lock(&self.table);
            let Some(peer) = peer else { return table.devices() };
            if table.seek(peer) {
                self.ask_again.store(true, Ordering::Relaxed);
            }
            let found = table.find(peer);
            if found.addresses.is_empty() { Vec::new() } else { Vec::from([found]) }
        })
    }

    fn on_event(&self, event: ServiceEvent) {
        let mut table = lock(&self.table);
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let id = service.get_property_val(ID).flatten();
                table.on_announced(&service.fullname, id, addresses(&service));
            }
            ServiceEvent::ServiceRemoved(_, name) => table.on_withdrawn(&name),
            _ => {}
        }
    }

    fn tell(&self) {
        let changed = lock(&self.table).take_changed();
        for peer in changed {
            self.watchers.tell(peer, || lock(&self.table).find(peer));
        }
        lock(&self.table).seek_only(|peer| self.watchers.seeks(peer));
    }

    /// What is heard from now on, where that is to begin again: the library has `ended` the telling, since nobody kept up with
    /// it; or somebody is sought who may have been left out; or it has heard too much.
    fn renewed(&self, ended: bool) -> Option<Receiver<ServiceEvent>> {
        let library = lock(&self.library).clone();
        if ended {
            // Nobody knows what was missed.
            lock(&self.table).clear();
        }
        if records(&library).is_none_or(|records| records > RECORDS) {
            return self.begin_anew();
        }
        let again = self.ask_again.swap(false, Ordering::Relaxed);
        (ended || again).then(|| library.browse(SERVICE).ok())?
    }

    /// Another library takes the place of this one, which has ended or knows too much.
    fn begin_anew(&self) -> Option<Receiver<ServiceEvent>> {
        let registered = lock(&self.registered);
        let mut library = lock(&self.library);
        end(&library);
        let (new, events) = start(self.loopback).ok()?;
        for service in registered.values() {
            // It holds a hundred commands, and at worst one that is not made known is tried again with the next.
            let _full = new.register(service.clone());
        }
        *library = new;
        lock(&self.table).clear();
        Some(events)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let library = lock(&self.library);
        let _ended = library.shutdown();
    }
}

/// The library, and what it hears.
fn start(loopback: bool) -> io::Result<(ServiceDaemon, Receiver<ServiceEvent>)> {
    // The library would go on without a socket, and say nothing.
    socket::try_shared(MDNS_PORT)?;
    let library = ServiceDaemon::new().map_err(io::Error::other)?;
    let begun = begin(&library, loopback);
    if begun.is_err() {
        end(&library);
    }
    begun.map(|events| (library, events))
}

fn begin(library: &ServiceDaemon, loopback: bool) -> io::Result<Receiver<ServiceEvent>> {
    if loopback {
        library.disable_interface(IfKind::All).map_err(io::Error::other)?;
        library.enable_interface(IfKind::LoopbackV4).map_err(io::Error::other)?;
    }
    let events = library.browse(SERVICE).map_err(io::Error::other)?;
    // Only when it answers it has begun.
    records(library).ok_or_else(|| io::Error::other("multicast DNS does not start"))?;
    Ok(events)
}

/// Waits until it has said goodbye, so that another one finds its port free.
fn end(library: &ServiceDaemon) {
    if let Ok(ended) = library.shutdown() {
        let _ended = ended.recv_timeout(PATIENCE);
    }
}

/// How many records it holds; none, where it has ended.
fn records(library: &ServiceDaemon) -> Option<i64> {
    let metrics = library.get_metrics().ok()?.recv_timeout(PATIENCE).ok()?;
    Some(metrics.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| *count).sum())
}

/// Takes in what is heard, until nobody wants to know.
fn listen(daemon: &Weak<Daemon>, mut events: Receiver<ServiceEvent>) {
    let mut looked = Instant::now();
    loop {
        let first = events.recv_timeout(TICK);
        let Some(daemon) = daemon.upgrade() else { return };
        let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
        first.into_iter().chain(events.try_iter().take(EVENTS)).for_each(|event| daemon.on_event(event));
        if ended {
            // Not at once: what it could not keep up with may go on.
            thread::sleep(TICK);
        }
        if looked.elapsed() >= TICK {
            if let Some(others) = daemon.renewed(ended) {
                events = others;
            }
            looked = Instant::now();
        }
        daemon.tell();
    }
}

fn addresses(service: &ResolvedService) -> Vec<SocketAddr> {
    let port = service.port;
    let with_port = |address: &ScopedIp| match address {
        ScopedIp::V6(v6) if v6.addr().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.addr(), port, 0, v6.scope_id().index).into()
        }
        address => SocketAddr::new(address.to_ip_addr(), port),
    };
    service.addresses.iter().map(with_port).collect()
}
