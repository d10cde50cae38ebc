//! Connections: who gets in, how they end, and which of two stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use symbolon::tokio::{CallError, ConnectError, SubscribeError, SubscribeOptions};
use symbolon::{CloseReason, Kind, SendError, Status, Timeouts};

use super::peers::{Asked, Plan, io_kind, peer_id, plan};
use super::{Double, Doubled, Pair, until};

/// SPEC §6
pub fn a_stranger_is_refused(pair: Pair) {
    let strict = pair.dialled.build(plan(2).trust(&[peer_id(3)]));
    let address = strict.listen();
    let refused = pair.dialler.build(plan(1)).connect(address, strict.peer_id()).err();
    assert!(
        matches!(refused, Some(ConnectError::Closed(CloseReason::Remote(Status::REFUSED)))),
        "{refused:?}"
    );
    let friend = pair.dialler.build(plan(3)).connect(address, strict.peer_id()).unwrap();
    assert_eq!(friend.call(&Double(1)), Ok(Doubled(2)));
    assert!(strict.link(peer_id(1)).is_none());
}

pub fn a_wrong_key_is_not_taken(pair: Pair) {
    let (a, b) = (pair.dialler.build(plan(1)), pair.dialled.build(plan(2)));
    let address = b.listen();
    let error = a.connect(address, peer_id(3)).err();
    let somebody_else = CloseReason::NotAdmitted(b.peer_id());
    assert!(matches!(error, Some(ConnectError::Closed(reason)) if reason == somebody_else), "{error:?}");
    // A port where nobody listens is the socket's error.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = a.connect(nobody, b.peer_id()).err().unwrap();
    assert_eq!(io_kind(&error), Some(std::io::ErrorKind::ConnectionRefused), "{error:?}");
    assert_eq!(a.connect(address, b.peer_id()).unwrap().call(&Double(1)), Ok(Doubled(2)));
}

/// A handler that stays until it is let go.
#[derive(Clone, Default)]
struct Gate {
    inside: Arc<AtomicUsize>,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn serve(&self, plan: Plan) -> Plan {
        let gate = self.clone();
        plan.on("stay", move |_: &Asked, body| {
            gate.inside.fetch_add(1, Ordering::SeqCst);
            until(|| gate.open.load(Ordering::SeqCst));
            gate.inside.fetch_sub(1, Ordering::SeqCst);
            Ok(body)
        })
    }
}

/// Nothing but what happens wakes a connection within the time of a test.
fn no_timer(timeouts: &mut Timeouts) {
    timeouts.close = 10 * super::PATIENCE;
    timeouts.silence = None;
}

/// SPEC §16.2: whoever closes, calls of both ends are answered first, and new ones are not taken.
pub fn a_close_lets_open_calls_end(pair: Pair) {
    for closer in 0..2 {
        let gate = Gate::default();
        let serve = |number: u8| gate.serve(plan(number)).timeouts(no_timer);
        let met = pair.meet(serve(1), serve(2));
        let [closing, other] = if closer == 0 { [0, 1] } else { [1, 0] }.map(|end| met.ends()[end]);
        thread::scope(|scope| {
            let calls = [closing, other].map(|end| scope.spawn(|| end.call_raw("stay", b"open", None)));
            until(|| gate.inside.load(Ordering::SeqCst) == 2);
            let reason = scope.spawn(|| closing.close());
            until(|| matches!(other.call(&Double(1)), Err(CallError::Send(SendError::GoingAway))));
            gate.open.store(true, Ordering::SeqCst);
            for call in calls {
                assert_eq!(call.join().unwrap().as_deref(), Ok(&b"open"[..]), "{pair:?}");
            }
            assert_eq!(reason.join().unwrap(), CloseReason::Local(Status::OK));
            assert_eq!(other.closed(), CloseReason::Remote(Status::OK));
        });
        for end in met.ends() {
            assert_eq!(end.call(&Double(1)), Err(CallError::Send(SendError::Closed)));
        }
    }
}

pub fn whoever_closes_is_seen_by_both(pair: Pair) {
    for closer in 0..2 {
        let met = pair.meet(plan(1).topic("state", Kind::State), plan(2).topic("state", Kind::State));
        let [closing, other] = if closer == 0 { [0, 1] } else { [1, 0] }.map(|end| met.ends()[end]);
        let mut feed = other.subscribe("state", SubscribeOptions::default()).unwrap();
        assert_eq!(closing.close(), CloseReason::Local(Status::OK));
        assert_eq!(other.closed(), CloseReason::Remote(Status::OK));
        assert_eq!(feed.next(), None);
        assert_eq!(feed.ended(), Some(SubscribeError::Status(Status::SHUTTING_DOWN)));
        // A second time changes nothing.
        assert_eq!(closing.close(), CloseReason::Local(Status::OK));
        assert_eq!(other.close(), CloseReason::Remote(Status::OK));
        assert!(!closing.is_connected() && !other.is_connected());
        until(|| met.a.link(met.b.peer_id()).is_none() && met.b.link(met.a.peer_id()).is_none());
    }
}

/// DUP-2: whoever dials, the smaller ends the older one once its calls have ended, and both ask on the newer.
pub fn the_newer_of_two_connections_stays(pair: Pair) {
    for numbers in [[1, 2], [2, 1]] {
        let gate = Gate::default();
        let serve = |number: u8| gate.serve(plan(number)).timeouts(no_timer);
        let (a, b) = (pair.dialler.build(serve(numbers[0])), pair.dialled.build(serve(numbers[1])));
        let address = b.listen();
        let old = a.connect(address, b.peer_id()).unwrap();
        let old_far = b.link(a.peer_id()).unwrap();
        let new = thread::scope(|scope| {
            let open = scope.spawn(|| old.call_raw("stay", b"old", None));
            until(|| gate.inside.load(Ordering::SeqCst) == 1);
            let new = a.connect(address, b.peer_id()).unwrap();
            gate.open.store(true, Ordering::SeqCst);
            assert_eq!(open.join().unwrap().as_deref(), Ok(&b"old"[..]), "{pair:?}");
            new
        });
        let (near, far) = (old.closed(), old_far.closed());
        let (ending, ended) = if a.peer_id() < b.peer_id() { (near, far) } else { (far, near) };
        assert_eq!(ending, CloseReason::Local(Status::REPLACED));
        assert_eq!(ended, CloseReason::Remote(Status::REPLACED));
        let binding = new.channel_binding();
        for (device, peer) in [(&a, &b), (&b, &a)] {
            let link = device.link(peer.peer_id()).unwrap();
            assert_eq!(link.channel_binding(), binding);
            assert_eq!(link.call(&Double(4)), Ok(Doubled(8)));
        }
    }
}

/// SPEC §17: what served a subscription was replaced, and did not shut down; on the newer one it may be opened again.  Both
/// sides' subscriptions end so.
pub fn who_subscribed_on_the_older_is_told_of_the_newer(pair: Pair) {
    for numbers in [[1, 2], [2, 1]] {
        let serve = |number: u8| plan(number).topic("state", Kind::State).timeouts(no_timer);
        let (a, b) = (pair.dialler.build(serve(numbers[0])), pair.dialled.build(serve(numbers[1])));
        let address = b.listen();
        let old = a.connect(address, b.peer_id()).unwrap();
        let old_far = b.link(a.peer_id()).unwrap();
        // The smaller one ends the older connection, and with it what the larger one has subscribed to.
        let a_subscribes = a.peer_id() > b.peer_id();
        let (subscriber, replacing) = if a_subscribes { (&old, &old_far) } else { (&old_far, &old) };
        let mut own = replacing.subscribe("state", SubscribeOptions::default()).unwrap();
        let mut feed = subscriber.subscribe("state", SubscribeOptions::default()).unwrap();
        let new = a.connect(address, b.peer_id()).unwrap();
        assert_eq!(feed.next(), None);
        assert_eq!(feed.ended(), Some(SubscribeError::Status(Status::SUPERSEDED)));
        assert_eq!(own.next(), None);
        assert_eq!(own.ended(), feed.ended());
        assert_eq!(subscriber.closed(), CloseReason::Remote(Status::REPLACED));
        let (new, publisher) = if a_subscribes { (new, &b) } else { (b.link(a.peer_id()).unwrap(), &a) };
        let mut feed = new.subscribe("state", SubscribeOptions::default()).unwrap();
        publisher.publish("state", b"on").unwrap();
        let publication = feed.next().unwrap().publication.unwrap();
        assert_eq!(publication.body, b"on"[..]);
    }
}

/// DUP-2: a peer with the smaller id that has forgotten its connections leaves them to the other side, which asks on
/// the one it saw accepted last.
pub fn of_several_that_stand_the_last_is_asked_on(pair: Pair) {
    let (smaller, larger) = if peer_id(1) < peer_id(2) { (1, 2) } else { (2, 1) };
    let dialled = pair.dialled.build(plan(larger));
    let address = dialled.listen();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let dialler = pair.dialler.build(plan(smaller));
        let near = dialler.connect(address, dialled.peer_id()).unwrap();
        let far = dialled.link(dialler.peer_id()).unwrap();
        assert_eq!(far.channel_binding(), near.channel_binding());
        kept.push((dialler, near));
    }
    assert!(kept.iter().all(|(_, near)| near.is_connected()));
}

/// A connection that has ended takes none of the eight places of its peer, also where its handles are kept.
pub fn a_connection_that_ended_gives_its_place_back(pair: Pair) {
    let (smaller, larger) = if peer_id(1) < peer_id(2) { (1, 2) } else { (2, 1) };
    let (a, b) = (pair.dialler.build(plan(smaller)), pair.dialled.build(plan(larger)));
    let address = b.listen();
    let mut kept = Vec::new();
    for _ in 0..10 {
        let near = a.connect(address, b.peer_id()).unwrap();
        assert_eq!(near.call(&Double(1)), Ok(Doubled(2)));
        let far = b.link(a.peer_id()).unwrap();
        assert_eq!(near.close(), CloseReason::Local(Status::OK));
        assert_eq!(far.closed(), CloseReason::Remote(Status::OK));
        until(|| b.link(a.peer_id()).is_none());
        kept.push((near, far));
    }
}

pub fn both_ends_share_a_binding(pair: Pair) {
    let met = pair.meet(plan(1), plan(2));
    let binding = met.near.channel_binding().unwrap();
    assert_eq!(met.far.again().channel_binding(), Some(binding));
    let other = pair.meet(plan(3), plan(4));
    assert_ne!(other.near.channel_binding(), Some(binding));
}
