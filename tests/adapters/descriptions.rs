//! What a device offers, told and heard.  SPEC §22

use bytes::Bytes;
use symbolon::tokio::CallError;
use symbolon::{Description, Kind, Overflow, Status};

use super::Pair;
use super::peers::{PATIENCE, peer_id, plan};

const EVENT: Kind = Kind::Event { depth: 4, overflow: Overflow::DropOldest };

pub fn a_device_tells_what_it_offers(pair: Pair) {
    let lamp = plan(2)
        .on("lamp/set", |_, body| Ok(body))
        .on_stream("lamp/photo", |_, _, _| Ok(()))
        .topic("lamp/state", Kind::State)
        .topic("lamp/faults", EVENT)
        .named("Lamp")
        .describe_method("lamp/set", "Switches the lamp.")
        .describe_topic("lamp/state", "Whether it is on.");
    let met = pair.meet(plan(1), lamp);
    let told = met.near.describe().unwrap();
    assert_eq!(told.name(), Some("Lamp"));
    let methods: Vec<_> =
        told.methods().map(|m| (m.name, m.request_chunks, m.reply_chunks, m.text)).collect();
    let expected = [
        ("echo", false, false, None),
        ("lamp/photo", true, true, None),
        ("lamp/set", false, false, Some("Switches the lamp.")),
        ("math/double", false, false, None),
    ];
    assert_eq!(methods, expected);
    let topics: Vec<_> = told.topics().map(|topic| (topic.name, topic.is_event, topic.text)).collect();
    assert_eq!(topics, [("lamp/faults", true, None), ("lamp/state", false, Some("Whether it is on."))]);

    // The one who was dialled asks as well, and hears of a device without a name and without topics.
    let told = met.far.describe().unwrap();
    assert_eq!((told.name(), told.topics().count()), (None, 0));
}

/// SPEC §22: each peer is told what it may use.
pub fn who_may_less_is_told_less(pair: Pair) {
    let house = |number, friend| {
        plan(number)
            .friends(&[peer_id(friend)])
            .topic("open", Kind::State)
            .topic("private", EVENT)
            .private("private")
    };
    // The one is no friend of the other's, and the other is one.
    let met = pair.meet(house(1, 2), house(2, 9));
    let methods =
        |told: &Description<'_>| told.methods().map(|method| method.name.to_owned()).collect::<Vec<_>>();
    let topics =
        |told: &Description<'_>| told.topics().map(|topic| topic.name.to_owned()).collect::<Vec<_>>();
    let (stranger, friend) = (met.near.describe().unwrap(), met.far.describe().unwrap());
    assert_eq!(methods(&stranger), ["echo", "math/double"]);
    assert_eq!(methods(&friend), ["deposit", "echo", "math/double", "secret"]);
    assert_eq!(topics(&stranger), ["open"]);
    assert_eq!(topics(&friend), ["open"], "to which nobody may subscribe");
}

/// DSC-1
pub fn a_question_with_a_body_is_a_bad_request(pair: Pair) {
    let met = pair.meet(plan(1), plan(2));
    for end in met.ends() {
        let asked = end.call_raw(Description::METHOD, b"x", Some(PATIENCE));
        assert_eq!(asked, Err(CallError::Status(Status::BAD_REQUEST, Bytes::new())));
        let (mut writer, reply) = end.open(Description::METHOD, b"", None).unwrap();
        writer.put(b"x").unwrap();
        assert_eq!(reply.wait().err(), Some(CallError::Status(Status::BAD_REQUEST, Bytes::new())));
        // An empty one may be said to go on.
        let (mut writer, reply) = end.open(Description::METHOD, b"", None).unwrap();
        writer.finish().unwrap();
        let (told, _) = reply.wait().unwrap();
        assert_eq!(Description::from_bytes(told.to_vec()), Ok(end.describe().unwrap()));
    }
}

/// EXC-11: a device need not tell.
pub fn a_device_that_does_not_tell_is_one_without_the_method(pair: Pair) {
    let met = pair.meet(plan(1).untold(), plan(2));
    assert_eq!(met.far.describe(), Err(CallError::Status(Status::NOT_FOUND, Bytes::new())));
    assert!(met.near.describe().is_ok());
}

pub fn a_description_longer_than_a_frame_comes_in_chunks(pair: Pair) {
    let many = |number| {
        (0..200).fold(plan(number), |plan, at| {
            plan.topic(&format!("a/topic/with/a/long/name/and/the/number/{at:04}"), Kind::State)
        })
    };
    let met = pair.meet(many(1), many(2).limits(|limits| limits.max_frame = 2_000));
    for end in met.ends() {
        let told = end.describe().unwrap();
        assert_eq!(told.topics().count(), 200);
        assert!(told.as_bytes().len() > 8_000);
    }
    // Of the one who takes less at a time; the other gets it in one.
    assert_eq!(met.far.call_raw(Description::METHOD, b"", Some(PATIENCE)), Err(CallError::Unsupported));
    let whole = met.near.call_raw(Description::METHOD, b"", Some(PATIENCE)).unwrap();
    assert_eq!(Description::from_bytes(whole.to_vec()), Ok(met.near.describe().unwrap()));
}

/// DSC-2: more than there may be is not begun.
pub fn a_device_with_too_much_to_tell_says_so(pair: Pair) {
    let methods: Vec<String> = (0..256).map(|at| format!("{at:0>128}")).collect();
    let text = "t".repeat(256);
    let wordy = methods[..250]
        .iter()
        .fold(plan(2), |plan, method| plan.on(method, |_, body| Ok(body)).describe_method(method, &text));
    let met = pair.meet(plan(1), wordy);
    assert_eq!(met.near.describe(), Err(CallError::Status(Status::TOO_LARGE, Bytes::new())));
    assert!(met.far.describe().is_ok(), "the connection stands");
}
