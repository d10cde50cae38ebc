//! A whole conversation, as two applications see it.

mod common;

use common::{Happened, Pair, device};
use symbolon::{CloseReason, Missed, Outgoing, Point, Status};

#[test]
fn two_devices_meet_call_each_other_publish_and_part() {
    let mut pair = Pair::new();
    assert_eq!(pair.events_a(), [Happened::Connected(device(2).identity().peer_id())]);
    assert_eq!(pair.events_b(), [Happened::Connected(device(1).identity().peer_id())]);
    assert_eq!(pair.a.channel_binding(), pair.b.channel_binding());

    assert_eq!(pair.echo(b"hello"), b"hello");

    let ask = pair.b.request(pair.now, "name", b"", None).unwrap();
    let Some(Happened::Request { id, method, .. }) = pair.events_a().pop() else { panic!() };
    assert_eq!(method, "name");
    pair.a.respond(id, Status::NOT_FOUND, b"").unwrap();
    assert_eq!(pair.events_b(), [Happened::Response { id: ask, status: Status::NOT_FOUND, body: vec![] }]);

    let subscription = pair.a.subscribe("room/+", 1_000, None).unwrap();
    let Some(Happened::Subscribe { id, filter, .. }) = pair.events_b().pop() else { panic!() };
    assert_eq!(filter, "room/+");
    pair.b.accept_subscription(id).unwrap();
    let point = Point { epoch: 7, sequence: 0 };
    let publication = Outgoing { topic: "room/1", point, missed: Missed::NONE, retained: false, body: b"21" };
    pair.b.publish(id, &publication).unwrap();
    let events = pair.events_a();
    assert_eq!(events[0], Happened::Subscribed(subscription));
    assert!(
        matches!(&events[1], Happened::Publication { topic, body, .. } if topic == "room/1" && body == b"21")
    );

    pair.a.cancel(subscription).unwrap();
    assert_eq!(pair.events_b(), [Happened::Unsubscribe(id)]);
    pair.b.end_subscription(id, Status::CANCELLED).unwrap();
    pair.settle();

    pair.a.close(pair.now, Status::OK);
    assert!(pair.events_b().contains(&Happened::Closed(CloseReason::Remote(Status::OK))));
    assert!(pair.events_a().contains(&Happened::Closed(CloseReason::Local(Status::OK))));
    assert_eq!(pair.next_due(), None, "nothing is left to wait for");
}
