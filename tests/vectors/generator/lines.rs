//! SPEC §19: sessions on a serial line.

use serde_json::{Value, json};
use symbolon::Role;

use crate::cobs_packets;
use crate::common::attacker::{ANSWER, Attacker, OFFER, framed, public_of};
use crate::line::{Line, SETUP, Session, ephemeral};
use crate::notation::{accept, close, padding, ping, request};
use crate::script::{Accepted, Refused, Verdict};
use crate::setups::counting_from;

fn answering(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Line {
    Line::new(Role::Responder, id, title, spec, verdict)
}

fn dialling(id: &str, title: &str, spec: &[&str], verdict: Verdict) -> Line {
    Line::new(Role::Initiator, id, title, spec, verdict)
}

pub fn scripts() -> Vec<(String, Value, Value)> {
    let mut all = packets();
    all.extend(sessions());
    all.extend(candidates());
    all.extend(losses());
    all.extend(dials());
    all.extend(collisions());
    all.extend(second_suite());
    all.into_iter().map(Line::finish).collect()
}

/// Sessions of two that have AES.
fn second_suite() -> Vec<Line> {
    let title = "offered both suites, the second is taken";
    let answers =
        answering("aes-answering", title, &["PRE-1", "§3"], Accepted).with_aes().answering().lives(0);
    let title = "a later answer replaces the first, and takes the other suite";
    let mut dials = dialling("aes-answer-twice", title, &["SER-9", "§3"], Accepted).with_aes().dials(0);
    let answer = dials.preambles.of(Role::Responder);
    let (second, third) = dials.answers();
    let dials = dials.hears(&[&ANSWER, &answer, &second]).sends(&[&third]);
    vec![answers, dials.frame(0, &[accept()]).connected().lives(0)]
}

/// What is dropped and changes nothing.
fn packets() -> Vec<Line> {
    let dropped = |id: &str, title: &str, rule: &str, bytes: &[u8]| {
        answering(id, title, &[rule], Refused).answering().hears_bytes(bytes).lives(0)
    };
    let too_long = cobs_packets::encode(&framed(&[7; 1_025]));
    let other = cobs_packets::encode(&framed(&[9; 40]));
    let short = cobs_packets::encode(&framed(&[9; 16]));
    vec![
        dropped("noise", "noise", "SER-1", &[0, 7, 0, 200, 1, 2, 3, 0, 1, 1, 1, 0]),
        dropped("packet-too-long", "a packet longer than the subject takes", "SER-8", &too_long),
        dropped("packet-endless", "bytes without end", "SER-8", &[&[3; 4_000][..], &[0]].concat()),
        dropped("frame-for-nobody", "a frame that nobody can open", "SER-3", &other),
        dropped("frame-too-short", "a frame shorter than a tag", "SER-3", &short),
        dropped("answer-for-nobody", "an answer to no offer", "SER-9", &cobs_packets::encode(&ANSWER)),
        answering("noise-before", "noise before a session", &["SER-1"], Accepted)
            .hears_bytes(&[0, 7, 0, 200, 1, 2, 3, 0, 9])
            .answering()
            .lives(0),
        answering(
            "noise-within",
            "a packet that breaks off, and the zero byte before the next",
            &["SER-1"],
            Accepted,
        )
        .answering()
        .hears_bytes(&other[..9])
        .lives(0),
    ]
}

fn sessions() -> Vec<Line> {
    let both = json!({ "event": "closed", "reason": "remote", "status": 0 });
    let replaced = {
        let mut this = answering(
            "replaced",
            "an accepted session takes the place of the one that ran",
            &["SER-2", "SER-13"],
            Accepted,
        )
        .answering()
        .dialled(1)
        .lives(0);
        let third = this.third();
        this.hears(&[&third])
            .tells(json!({ "event": "closed", "reason": "local", "status": 35 }))
            .connected()
            .says(1, &[accept()])
            .lives(1)
    };
    let early =
        dialling("no-frame-before-accept", "an initiator's messages wait for accept", &["SER-12"], Accepted)
            .dials(0);
    let early = {
        let mut this = early;
        let (second, third) = this.answers();
        this.hears(&[&ANSWER, &second])
            .sends(&[&third])
            .step(json!({ "do": "request", "method": "a", "body": "" }))
            .step(json!({ "at": 500 }))
            .frame(0, &[accept()])
            .connected()
            .says(0, &[request(2, "a", b"")])
    };
    vec![
        answering("session", "a session, and its end in order", &["SER-6"], Accepted)
            .answering()
            .lives(0)
            .frame(0, &[close(0)])
            .says(0, &[close(0)])
            .tells(both)
            .step(json!({ "closed": true })),
        replaced,
        early,
    ]
}

/// Handshakes that fail, or are not let in.
fn candidates() -> Vec<Line> {
    let damaged = |third: &[u8]| {
        let mut damaged = third.to_vec();
        damaged[20] ^= 1;
        damaged
    };
    let mut once =
        answering("message-3-damaged", "it is dropped, and the genuine one is taken", &["SER-10"], Accepted)
            .dialled(0);
    let third = once.third();
    let once = once.hears(&[&damaged(&third)]).hears(&[&third]).connected().says(0, &[accept()]).lives(0);
    let mut often =
        answering("message-3-damaged-often", "too many that fail end the candidate", &["SER-11"], Refused)
            .dialled(0);
    let third = often.third();
    let bad = damaged(&third);
    let often = often.hears(&vec![&bad[..]; 100]).hears(&[&third]).step(json!({ "closed": true }));
    let mut proof = answering(
        "proof-wrong",
        "a wrong proof is dropped, and the genuine one is taken",
        &["SER-10", "IDP-1"],
        Accepted,
    )
    .dialled(0);
    let (forged, third) = {
        let session = proof.sessions.last_mut().expect("a session");
        let mut other = Session::new(Role::Responder, 0).peer;
        other.knobs.proof_role = Some(2);
        other.begin();
        let mut subject = Session::new(Role::Responder, 0).subject;
        subject.hear(&Session::new(Role::Responder, 0).peer.begin());
        other.hear(&[ANSWER.to_vec(), subject.say()].concat());
        let forged = other.say();
        let third = session.peer.say();
        session.subject.hear(&third);
        (forged, third)
    };
    let proof = proof.hears(&[&forged]).hears(&[&third]).connected().says(0, &[accept()]).lives(0);
    let mut second =
        dialling("message-2-damaged", "it is dropped, and the genuine one is taken", &["SER-10"], Accepted)
            .dials(0);
    let (answer, third) = second.answers();
    let mut changed = answer.clone();
    changed[60] ^= 1;
    let second = second.hears(&[&ANSWER, &changed]).hears(&[&answer]).sends(&[&third]);
    let second = second.frame(0, &[accept()]).connected().lives(0);
    let mut stranger =
        answering("stranger", "one that is not let in disturbs nobody", &["SER-2", "ADM-2"], Refused)
            .answering()
            .dialled(1);
    stranger.sessions[1].peer.knobs.secret = [0x77; 32];
    let third = stranger.third();
    let stranger = stranger.hears(&[&third]).says(1, &[close(32)]).lives(0);
    vec![once, often, proof, second, stranger]
}

/// SPEC §19.4
fn losses() -> Vec<Line> {
    let lost = |id: &str, title: &str, count: usize, verdict| {
        let mut this = answering(id, title, &["SER-4"], verdict).answering();
        for _ in 0..count {
            let _lost = this.seal(0, &[padding(0)]);
        }
        this
    };
    let told = |this: Line| {
        this.error("FramesLost")
            .says(0, &[close(39)])
            .tells(json!({ "event": "closed", "reason": "lost" }))
            .step(json!({ "closed": true }))
    };
    vec![
        told(
            lost("one-lost", "a frame behind one that was lost", 1, Refused)
                .frame(0, &[request(2, "a", b"")]),
        ),
        told(lost("sixteen-lost", "as many as the subject looks ahead", 16, Refused).frame(0, &[ping(1)])),
        lost("seventeen-lost", "one more: the frame is for nobody", 17, Refused).frame(0, &[ping(1)]),
    ]
}

fn dials() -> Vec<Line> {
    let mut before = dialling(
        "message-2-before-answer",
        "no frame for a session that awaits a preamble",
        &["SER-9"],
        Accepted,
    )
    .dials(0);
    let (second, third) = before.answers();
    let before = before.hears(&[&second]).hears(&[&ANSWER]).hears(&[&second]).sends(&[&third]);
    let mut bad =
        dialling("answer-bad", "an answer that cannot be one is dropped", &["SER-10", "PRE-5"], Accepted)
            .dials(0);
    let (second, third) = bad.answers();
    let bad = bad.hears(&[b"olon\x02\0\0\x01"]).hears(&[&ANSWER, &second]).sends(&[&third]);
    let mut newer =
        dialling("answer-twice", "a later answer before message 2 replaces the first", &["SER-9"], Accepted)
            .dials(0);
    let (second, third) = newer.answers();
    let newer = newer.hears(&[b"olon\x01\0\0\x01", &ANSWER, &second]).sends(&[&third]);
    vec![
        dialling("redial", "no answer: a new session, with a fresh key", &["SER-14"], Accepted)
            .dials(0)
            .step(json!({ "at": 999 }))
            .step(json!({ "at": 1_000 }))
            .dials(1)
            .step(json!({ "at": 2_999 }))
            .step(json!({ "at": 3_000 }))
            .dials(2),
        dialling("refused", "busy ends the try, and the next one waits", &["PRE-4"], Refused)
            .dials(0)
            .hears(&[b"olon\x01\x04\0\x01"])
            .step(json!({ "closed": true })),
        before,
        bad,
        newer,
        dialling("echo", "it hears itself: its offer is ignored", &["SER-5"], Accepted).dials(0).echo(),
    ]
}

impl Line {
    /// What the subject sent comes back.
    fn echo(self) -> Self {
        let message_1 = framed(&public_of(&ephemeral(0)));
        self.hears(&[&OFFER, &message_1])
    }
}

/// Both have sent an offer.
fn collisions() -> Vec<Line> {
    let key_of = |private: u8| public_of(&counting_from(private));
    let ours = public_of(&ephemeral(0));
    let find =
        |smaller: bool| (1..0xe0_u8).find(|first| (key_of(*first) < ours) == smaller).expect("some key");
    let offering = |first: u8| {
        let mut peer = Attacker::new(Role::Initiator, SETUP.peer_knobs());
        peer.knobs.ephemeral_private = counting_from(first);
        peer
    };
    let mut stays = dialling(
        "collision-smaller",
        "the side with the smaller message 1 stays initiator",
        &["SER-5"],
        Accepted,
    )
    .dials(0);
    let (second, third) = stays.answers();
    let larger = offering(find(false)).begin();
    let stays = stays
        .hears(&[&OFFER, &larger[8..]])
        .hears(&[&ANSWER, &second])
        .sends(&[&third])
        .frame(0, &[accept()])
        .connected()
        .lives(0);
    let mut yields =
        dialling("collision-larger", "the side with the larger message 1 answers", &["SER-5"], Accepted)
            .dials(0);
    let mut session = Session::new(Role::Responder, 1);
    session.peer = offering(find(true));
    let first = session.peer.begin();
    session.subject.hear(&first);
    let second = session.subject.say();
    session.peer.hear(&[&ANSWER[..], &second].concat());
    let third = session.peer.say();
    session.subject.hear(&third);
    yields.keys = 2;
    // The session that was given up has no keys.
    yields.sessions = vec![session];
    let yields = yields
        .hears(&[&OFFER, &first[8..]])
        .sends(&[&ANSWER, &second])
        .hears(&[&third])
        .connected()
        .says(0, &[accept()])
        .lives(0);
    vec![stays, yields]
}
