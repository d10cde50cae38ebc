//! Who was heard of, and where: a table that no network fills beyond its bounds.  SPEC §23

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::string::String;
use std::vec::Vec;

use super::Found;
use crate::PeerId;

/// What was announced and not taken back; by the name of the announcement, since that is all that a goodbye has.
#[derive(Debug, Default)]
pub(super) struct Table {
    announced: HashMap<String, Found>,
    /// How many of them are of peers that nobody seeks.
    others: usize,
    sought: HashSet<PeerId>,
    /// One was left out for want of room.
    overflowed: bool,
    /// Devices that have come, gone or moved since that was last asked.
    changed: BTreeSet<PeerId>,
    /// Whether addresses of this machine alone mean something.
    loopback: bool,
}

impl Table {
    /// How many announcements are kept of peers that nobody seeks.
    const OTHERS: usize = 256;
    /// How many of one peer that somebody does seek.
    const OF_ONE: usize = 4;
    /// How many addresses a device has at most.
    const ADDRESSES: usize = 8;

    pub(super) fn new(loopback: bool) -> Self {
        Self { loopback, ..Self::default() }
    }

    /// An announcement has come, or says something else than before.
    pub(super) fn on_announced(&mut self, name: &str, id: Option<&[u8]>, addresses: Vec<SocketAddr>) {
        // MDN-1
        let Some(peer) = id.and_then(parse_id) else { return self.on_withdrawn(name) };
        if self.announced.get(name).is_none_or(|found| found.peer != peer) {
            self.on_withdrawn(name);
            if !self.has_room(peer) {
                self.overflowed = true;
                return;
            }
            self.others += usize::from(!self.sought.contains(&peer));
        }
        let addresses = self.usable(addresses);
        let known = self.announced.entry(name.into()).or_insert(Found { peer, addresses: Vec::new() });
        if known.addresses != addresses {
            known.addresses = addresses;
            self.changed.insert(peer);
        }
    }

    /// An announcement was taken back, or has grown too old.
    pub(super) fn on_withdrawn(&mut self, name: &str) {
        let Some(found) = self.announced.remove(name) else { return };
        self.others -= usize::from(!self.sought.contains(&found.peer));
        self.changed.insert(found.peer);
    }

    /// All that was heard counts no more.
    pub(super) fn clear(&mut self) {
        self.changed.extend(self.announced.drain().map(|(_, found)| found.peer));
        (self.others, self.overflowed) = (0, false);
    }

    /// From now on there is room for this peer, however many others there are; whether it may have been left out before.
    pub(super) fn seek(&mut self, peer: PeerId) -> bool {
        if self.sought.insert(peer) {
            self.others -= self.announcements_of(peer);
        }
        self.overflowed
    }

    /// Nobody seeks these peers any more.
    pub(super) fn seek_only(&mut self, is_sought: impl Fn(PeerId) -> bool) {
        self.sought.retain(|peer| is_sought(*peer));
        let sought = &self.sought;
        self.others = self.announced.values().filter(|found| !sought.contains(&found.peer)).count();
    }

    /// Whether an announcement of this peer was heard that is not in the table yet.
    fn has_room(&self, peer: PeerId) -> bool {
        if self.sought.contains(&peer) {
            return self.announcements_of(peer) < Self::OF_ONE;
        }
        self.others < Self::OTHERS
    }

    fn announcements_of(&self, peer: PeerId) -> usize {
        self.announced.values().filter(|found| found.peer == peer).count()
    }

    /// Where a connection could lead to a device, in order.
    fn usable(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let usable = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            let nowhere = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]);
            // Others cannot send this machine to its own services.
            address.port() != 0 && !nowhere && (self.loopback || !ip.is_loopback())
        };
        first(addresses.into_iter().filter(usable))
    }

    /// Where this peer is said to be.
    pub(super) fn find(&self, peer: PeerId) -> Found {
        let of_peer = self.announced.values().filter(|found| found.peer == peer);
        Found { peer, addresses: first(of_peer.flat_map(|found| found.addresses.iter().copied())) }
    }

    pub(super) fn devices(&self) -> Vec<Found> {
        let peers: BTreeSet<PeerId> = self.announced.values().map(|found| found.peer).collect();
        peers.into_iter().map(|peer| self.find(peer)).filter(|found| !found.addresses.is_empty()).collect()
    }

    /// Who has come, gone or moved since the last time.
    pub(super) fn take_changed(&mut self) -> BTreeSet<PeerId> {
        std::mem::take(&mut self.changed)
    }
}

/// As many as a device has at most, each once.  IPv4 comes first, and last what is only reached over one link, since fewer
/// programs can do with a zone.
fn first(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let is_link_local = |ip| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_unstable_by_key(|address| (is_link_local(address.ip()), *address));
    addresses.dedup();
    addresses.truncate(Table::ADDRESSES);
    addresses
}

/// The peer of this id; none, where it does not have the one form that it may have.  MDN-1
fn parse_id(id: &[u8]) -> Option<PeerId> {
    let id = std::str::from_utf8(id).ok()?;
    if id.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;

    fn peer(number: u16) -> PeerId {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        PeerId::from_bytes(id)
    }

    fn addresses(hosts: &[&str]) -> Vec<SocketAddr> {
        hosts.iter().map(|host| format!("{host}:4747").parse().unwrap()).collect()
    }

    fn announce(table: &mut Table, name: &str, number: u16, hosts: &[&str]) {
        table.on_announced(name, Some(peer(number).to_string().as_bytes()), addresses(hosts));
    }

    #[test]
    fn who_comes_moves_and_goes_is_told_once_each() {
        let mut table = Table::new(false);
        announce(&mut table, "lamp", 1, &["192.0.2.1"]);
        announce(&mut table, "lamp", 1, &["192.0.2.1"]);
        assert_eq!(table.take_changed(), BTreeSet::from([peer(1)]));
        announce(&mut table, "lamp", 1, &["192.0.2.1"]);
        assert_eq!(table.take_changed(), BTreeSet::new());
        announce(&mut table, "lamp", 1, &["[2001:db8::1]", "192.0.2.2"]);
        assert_eq!(table.take_changed(), BTreeSet::from([peer(1)]));
        assert_eq!(table.find(peer(1)).addresses, addresses(&["192.0.2.2", "[2001:db8::1]"]));
        table.on_withdrawn("fan");
        table.on_withdrawn("lamp");
        assert_eq!(table.take_changed(), BTreeSet::from([peer(1)]));
        assert_eq!((table.find(peer(1)).addresses, table.devices()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_device_on_several_ports_or_networks_is_one() {
        let mut table = Table::new(false);
        announce(&mut table, "lamp at home", 1, &["192.0.2.1"]);
        announce(&mut table, "lamp on the bench", 1, &["198.51.100.1", "192.0.2.1"]);
        let found = Found { peer: peer(1), addresses: addresses(&["192.0.2.1", "198.51.100.1"]) };
        assert_eq!(table.devices(), [found]);
        table.on_withdrawn("lamp on the bench");
        assert_eq!(table.find(peer(1)).addresses, addresses(&["192.0.2.1"]));
        announce(&mut table, "lamp at home", 2, &["192.0.2.1"]);
        table.take_changed();
        assert_eq!(table.devices(), [Found { peer: peer(2), addresses: addresses(&["192.0.2.1"]) }]);
    }

    // MDN-1
    #[test]
    fn who_does_not_say_a_well_formed_id_is_nobody() {
        let mut table = Table::new(false);
        let good = format!("{:064}", 0xabcd_u32).replace("43981", "abcde");
        let cut = &good[1..];
        for bad in [
            "",
            "lamp",
            cut,
            &format!("{good}0"),
            &good.to_uppercase(),
            &format!(" {cut}"),
            &format!("{cut}é"),
        ] {
            announce(&mut table, "lamp", 1, &["192.0.2.1"]);
            table.on_announced("lamp", Some(bad.as_bytes()), addresses(&["192.0.2.1"]));
            assert_eq!(table.devices(), [], "{bad}");
        }
        announce(&mut table, "lamp", 1, &["192.0.2.1"]);
        table.on_announced("lamp", None, addresses(&["192.0.2.1"]));
        assert_eq!(table.devices(), []);
        table.on_announced("lamp", Some(good.as_bytes()), addresses(&["192.0.2.1"]));
        assert_eq!(table.devices().len(), 1);
    }

    #[test]
    fn addresses_that_lead_nowhere_or_to_this_machine_are_left_out() {
        let nowhere = ["0.0.0.0", "255.255.255.255", "224.0.0.251", "[ff02::fb]", "[::]", "[::ffff:0.0.0.0]"];
        let here = ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"];
        for loopback in [false, true] {
            let mut table = Table::new(loopback);
            announce(&mut table, "lamp", 1, &[&nowhere[..], &here[..], &["192.0.2.1"]].concat());
            let all = table.find(peer(1)).addresses;
            let wanted: &[&str] = if loopback {
                &["127.0.0.1", "192.0.2.1", "[::1]", "[::ffff:127.0.0.1]"]
            } else {
                &["192.0.2.1"]
            };
            assert_eq!(all, addresses(wanted));
        }
        let mut table = Table::new(false);
        let nowhere = ["192.0.2.1:0".parse().unwrap()];
        table.on_announced("lamp", Some(peer(1).to_string().as_bytes()), nowhere.into());
        assert_eq!(table.devices(), []);
    }

    #[test]
    fn what_needs_a_zone_comes_last() {
        let mut table = Table::new(false);
        announce(&mut table, "lamp", 1, &["[fe80::1%3]", "[2001:db8::1]", "192.0.2.1"]);
        assert_eq!(table.find(peer(1)).addresses, addresses(&["192.0.2.1", "[2001:db8::1]", "[fe80::1%3]"]));
    }

    // MDN-4
    #[test]
    fn no_network_fills_the_table_or_crowds_out_who_is_sought() {
        let mut table = Table::new(false);
        announce(&mut table, "the lamp", 9_999, &["192.0.2.1"]);
        for number in 0..1_000 {
            announce(&mut table, &format!("device {number}"), number, &["192.0.2.2"]);
        }
        let many: Vec<String> = (1..100).map(|host| format!("192.0.2.{host}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        announce(&mut table, "device 1", 1, &many);
        assert_eq!((table.devices().len(), table.announced.len()), (Table::OTHERS, Table::OTHERS));
        assert_eq!(table.find(peer(1)).addresses.len(), Table::ADDRESSES);

        assert!(table.seek(peer(500)), "it may have been left out, as it was");
        assert!(table.seek(peer(9_999)));
        for again in 0..100 {
            announce(&mut table, &format!("the same {again}"), 500, &["192.0.2.3"]);
            announce(&mut table, &format!("stranger {again}"), 5_000 + again, &["192.0.2.4"]);
        }
        assert_eq!(table.find(peer(500)).addresses, addresses(&["192.0.2.3"]));
        // The lamp's place is free for another.
        assert_eq!(table.announced.len(), Table::OTHERS + 1 + Table::OF_ONE);
        table.seek_only(|peer| peer != self::peer(9_999));
        assert_eq!(table.others, Table::OTHERS + 1);
        table.on_withdrawn("the lamp");
        assert_eq!(table.others, Table::OTHERS);
        table.clear();
        assert_eq!((table.others, table.devices().len()), (0, 0));
        assert!(table.take_changed().len() > Table::OTHERS);
    }
}
