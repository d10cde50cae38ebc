//! Handshakes in which one message was changed.  SPEC §5.4, §20

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use symbolon::Role;

use crate::common::attacker::{ANSWER, Attacker, Knobs, Pairs, framed, public_of};
use crate::common::cbor::{array, bytes, long_head, map, negative, text, uint};
use crate::common::signatures::{malleated, sign_by_hand, small_order};
use crate::handshakes::{AES_BASE, Base, DECLINED_BASE, USUAL_BASE};
use crate::identity::LOW_ORDER;
use crate::messages::hex;
use crate::setups::{AES, CHACHA, Preambles};

const BASE: Base = USUAL_BASE;

pub fn vectors() -> Vec<Value> {
    let mut all = lengths();
    all.extend(changed());
    all.extend(low_order());
    for sender in [Role::Responder, Role::Initiator] {
        all.extend(proofs(sender));
        all.extend(payloads(sender));
    }
    all.extend(under_second_suite());
    all.extend(talked_over());
    all
}

/// The side that refuses what this one sends.
fn refuser(sender: Role) -> &'static str {
    if sender.is_initiator() { "responder" } else { "initiator" }
}

fn vector(id: &str, title: &str, spec: &[&str], sender: Role, message: u8, error: &str) -> Value {
    json!({
        "id": format!("handshakes-refused/{id}"), "title": title, "spec": spec, "result": "refused",
        "base": BASE.id, "message": message, "refused_by": refuser(sender), "at_message": message, "error": error,
    })
}

fn of_base(mut vector: Value, base: &Base) -> Value {
    vector["base"] = base.id.into();
    vector
}

fn with_frame(mut vector: Value, frame: &[u8]) -> Value {
    vector["frame"] = hex(frame).into();
    vector
}

/// Message 2 or 3 as this sender makes it, with knobs that are set from the start, and changed once he has heard what
/// stands before it.
fn said(sender: Role, knobs: impl FnOnce(&mut Knobs), change: impl FnOnce(&mut Attacker)) -> Vec<u8> {
    said_under(&BASE, sender, knobs, change)
}

fn said_under(
    base: &Base,
    sender: Role,
    knobs: impl FnOnce(&mut Knobs),
    change: impl FnOnce(&mut Attacker),
) -> Vec<u8> {
    let (mut other, mut this) = (base.side(!sender), base.side(sender));
    knobs(&mut this.knobs);
    if sender.is_initiator() {
        other.hear(&this.begin());
        let second = [other.begin(), other.say()].concat();
        this.hear(&second);
    } else {
        this.hear(&other.begin());
    }
    change(&mut this);
    this.say()
}

fn said_by(sender: Role, change: impl FnOnce(&mut Attacker)) -> Vec<u8> {
    said(sender, |_| {}, change)
}

fn with_knobs(sender: Role, change: impl FnOnce(&mut Knobs)) -> Vec<u8> {
    said(sender, change, |_| {})
}

fn message_of(sender: Role) -> u8 {
    if sender.is_initiator() { 3 } else { 2 }
}

fn lengths() -> Vec<Value> {
    let first = BASE.side(Role::Initiator).message_1();
    let second = said_by(Role::Responder, |_| {});
    let third = said_by(Role::Initiator, |_| {});
    let mut all = Vec::new();
    let cut = |id: &str, sender, message: u8, lengths: Vec<usize>, rule: &str, error: &str| {
        let spec = [rule, "§5.1", "§5.4"];
        let mut vector = vector(id, "cut short, at every length", &spec, sender, message, error);
        vector["truncate"] = lengths.into();
        vector
    };
    all.push(cut("message-1-short", Role::Initiator, 1, (1..first.len()).collect(), "HSK-2", "FrameLength"));
    all.push(cut(
        "message-2-short",
        Role::Responder,
        2,
        (1..second.len() - 2).collect(),
        "HSK-4",
        "Handshake",
    ));
    all.push(cut(
        "message-3-short",
        Role::Initiator,
        3,
        (1..third.len() - 2).collect(),
        "HSK-4",
        "Handshake",
    ));
    for len in [33, 48, 512] {
        let long: Vec<u8> = first.iter().copied().chain(std::iter::repeat(7)).take(len).collect();
        let vector = vector(
            &format!("message-1-of-{len}"),
            "message 1 with something behind the key",
            &["HSK-2", "§5.1"],
            Role::Initiator,
            1,
            "FrameLength",
        );
        all.push(with_frame(vector, &framed(&long)));
    }
    for (sender, frame) in [(Role::Responder, &second), (Role::Initiator, &third)] {
        let message = message_of(sender);
        let mut longer = frame[2..].to_vec();
        longer.push(0);
        let id = format!("message-{message}-longer");
        let vector = vector(&id, "one byte more", &["HSK-4", "§5.1"], sender, message, "Unauthentic");
        all.push(with_frame(vector, &framed(&longer)));
    }
    all
}

fn changed() -> Vec<Value> {
    let mut all = Vec::new();
    for sender in [Role::Responder, Role::Initiator] {
        let message = message_of(sender);
        let len = said_by(sender, |_| {}).len() - 2;
        let id = format!("message-{message}-flipped");
        let mut flipped = vector(
            &id,
            "a bit changed, in every byte",
            &["HSK-4", "§5.1", "§5.4"],
            sender,
            message,
            "Unauthentic",
        );
        flipped["flip"] = (0..len).collect::<Vec<_>>().into();
        all.push(flipped);
    }
    // A change of what was hashed before shows at message 2.
    let other_key = with_knobs_of_other(|initiator| initiator.ephemeral_private = [0x55; 32]);
    let title = "the answer to a message 1 that was changed on its way";
    all.push(with_frame(
        vector("message-1-changed", title, &["HSK-4", "§5.1"], Role::Responder, 2, "Unauthentic"),
        &other_key,
    ));
    all.extend(prologues());
    all.extend(repeated());
    all
}

fn prologues() -> Vec<Value> {
    let prologues: [(&str, &str, Vec<u8>); 4] = [
        ("empty", "no prologue", Vec::new()),
        (
            "offer-changed",
            "a responder that was shown another offer",
            [*b"symb\x02\0\0\x01", ANSWER].concat(),
        ),
        (
            "answer-changed",
            "a responder whose answer was changed",
            [*b"symb\x01\0\0\x01", *b"olon\x01\0\0\x02"].concat(),
        ),
        ("swapped", "the preambles in the other order", [ANSWER, *b"symb\x01\0\0\x01"].concat()),
    ];
    let vectors = prologues.into_iter().map(|(name, title, prologue)| {
        let frame = with_knobs(Role::Responder, |knobs| knobs.prologue = Some(prologue));
        let (id, spec) = (format!("prologue-{name}"), ["HSK-1", "§5.1"]);
        with_frame(vector(&id, title, &spec, Role::Responder, 2, "Unauthentic"), &frame)
    });
    vectors.collect()
}

/// Genuine messages, in a place where they do not belong.
fn repeated() -> Vec<Value> {
    let mut all = Vec::new();
    // The own message of the side that refuses, sent back.
    let reflected = framed(&BASE.side(Role::Initiator).message_1());
    let title = "the initiator's own message 1, sent back as message 2";
    all.push(with_frame(
        vector("reflected-1", title, &["HSK-4", "§5.1"], Role::Responder, 2, "Unauthentic"),
        &reflected,
    ));
    let reflected = said_by(Role::Responder, |_| {});
    let title = "the responder's own message 2, sent back as message 3";
    all.push(with_frame(
        vector("reflected-2", title, &["HSK-4", "§5.1"], Role::Initiator, 3, "Unauthentic"),
        &reflected,
    ));
    let replayed = {
        let (mut other, mut this) = (BASE.side(Role::Responder), BASE.side(Role::Initiator));
        other.knobs.ephemeral_private = [0x56; 32];
        other.hear(&this.begin());
        let second = other.say();
        this.hear(&[ANSWER.to_vec(), second].concat());
        this.say()
    };
    let title = "a message 3 of another session of the same two";
    all.push(with_frame(
        vector("replayed-3", title, &["HSK-4", "§5.1"], Role::Initiator, 3, "Unauthentic"),
        &replayed,
    ));
    all
}

fn under_second_suite() -> Vec<Value> {
    let mut all = Vec::new();
    for sender in [Role::Responder, Role::Initiator] {
        let (message, spec) = (message_of(sender), ["HSK-4", "§5.1", "§5.4"]);
        let len = said_under(&AES_BASE, sender, |_| {}, |_| {}).len() - 2;
        let new = |name: &str, title: &str, error: &str| {
            let vector =
                vector(&format!("aes-message-{message}-{name}"), title, &spec, sender, message, error);
            of_base(vector, &AES_BASE)
        };
        let mut flipped = new("flipped", "a bit changed, in every byte", "Unauthentic");
        flipped["flip"] = (0..len).collect::<Vec<_>>().into();
        let mut short = new("short", "cut short, at every length", "Handshake");
        short["truncate"] = (1..len).collect::<Vec<_>>().into();
        all.extend([flipped, short]);
    }
    all
}

/// Where somebody on the path would have two speak another suite than they had chosen.
fn talked_over() -> Vec<Value> {
    let (both, first, second) = (CHACHA | AES, CHACHA, AES);
    // What the initiator has seen of the preambles is its base's; and what the responder has.
    let cases: [(&str, &str, &Base, Preambles); 5] = [
        (
            "offer-talked-down",
            "a responder that was shown only the first suite",
            &DECLINED_BASE,
            Preambles { offered: first, taken: first },
        ),
        (
            "offer-without-the-first",
            "a responder that was shown only the second suite",
            &AES_BASE,
            Preambles { offered: second, taken: second },
        ),
        (
            "answer-talked-down",
            "a responder that took the second suite, whose answer was changed to the first",
            &DECLINED_BASE,
            Preambles { offered: both, taken: second },
        ),
        (
            "answer-talked-up",
            "a responder that took the first suite, whose answer was changed to the second",
            &AES_BASE,
            Preambles { offered: both, taken: first },
        ),
        (
            "offer-talked-up",
            "a responder that was shown a suite more, and took it; its answer was changed back",
            &BASE,
            Preambles { offered: both, taken: second },
        ),
    ];
    let vectors = cases.into_iter().map(|(name, title, base, seen)| {
        let (mut other, mut this) = (base.side(Role::Initiator), base.side(Role::Responder));
        this.knobs.preamble = Some(seen.of(Role::Responder));
        this.hear(&[&seen.of(Role::Initiator)[..], &other.begin()[8..]].concat());
        let spec = ["HSK-1", "§3", "§5.1"];
        let vector = vector(&format!("aes-{name}"), title, &spec, Role::Responder, 2, "Unauthentic");
        of_base(with_frame(vector, &this.say()), base)
    });
    vectors.collect()
}

/// Message 2 of the responder to another initiator.
fn with_knobs_of_other(change: impl FnOnce(&mut Knobs)) -> Vec<u8> {
    let (mut other, mut this) = (BASE.side(Role::Initiator), BASE.side(Role::Responder));
    change(&mut other.knobs);
    this.hear(&other.begin());
    this.say()
}

/// HSK-3: points whose product with anything is zero.
fn low_order() -> Vec<Value> {
    let mut all = Vec::new();
    let spec = ["HSK-3", "§5.1"];
    for (place, key) in LOW_ORDER.iter().enumerate() {
        let title = "an ephemeral key of low order";
        let new = |name: &str, sender, message, title: &str| {
            vector(&format!("{name}-{place}"), title, &spec, sender, message, "Unauthentic")
        };
        all.push(with_frame(new("low-order-1", Role::Initiator, 1, title), &framed(key)));
        let second = with_knobs(Role::Responder, |knobs| {
            (knobs.ephemeral_public, knobs.zero_secrets) = (Some(*key), true);
        });
        all.push(with_frame(new("low-order-2", Role::Responder, 2, title), &second));
        let title = "a static key of low order";
        for sender in [Role::Responder, Role::Initiator] {
            let message = message_of(sender);
            let frame = with_knobs(sender, |knobs| {
                (knobs.static_public, knobs.zero_secrets) = (Some(*key), true);
            });
            all.push(with_frame(new(&format!("low-order-static-{message}"), sender, message, title), &frame));
        }
    }
    all
}

/// IDP-1, IDP-2, IDP-4.
fn proofs(sender: Role) -> Vec<Value> {
    let message = message_of(sender);
    let mut all = Vec::new();
    let mut add = |name: &str, title: &str, rule: &str, error: &str, change: &dyn Fn(&mut Attacker)| {
        let id = format!("proof-{name}-{message}");
        let vector = vector(&id, title, &[rule, "§5.3", "§5.4"], sender, message, error);
        all.push(with_frame(vector, &said_by(sender, change)));
    };
    let wrong = if sender.is_initiator() { 2 } else { 1 };
    for role in [wrong, 0, 3] {
        add(&format!("role-{role}"), "signed for another role", "IDP-1", "Proof", &|this| {
            this.knobs.proof_role = Some(role)
        });
    }
    add("hash", "signed with another hash", "IDP-1", "Proof", &|this| this.knobs.proof_hash = Some([9; 32]));
    add("static", "signed with another static key", "IDP-1", "Proof", &|this| {
        this.knobs.proof_static = Some(public_of(&[0x33; 32]));
    });
    add("signer", "signed by another identity", "IDP-1", "Proof", &|this| {
        this.knobs.signer = Some([0x44; 32])
    });
    for domain in ["symbolon-identity-v2", "symbolon-identity-v", ""] {
        add(&format!("domain-{}", domain.len()), "signed in another domain", "IDP-1", "Proof", &|this| {
            this.knobs.proof_domain = domain.into();
        });
    }
    add("zero", "no signature at all", "IDP-1", "Proof", &|this| this.knobs.proof = Some(vec![0; 64]));
    add("own-identity", "the receiver's own identity, and its proof", "IDP-4", "OwnIdentity", &|this| {
        this.knobs.secret = BASE.knobs(!sender).secret;
    });
    for (place, identity) in small_order().into_iter().enumerate() {
        add(&format!("small-order-{place}"), "an identity of small order", "IDP-2", "Proof", &|this| {
            this.knobs.identity = Some(identity.to_vec());
            this.knobs.proof = Some([identity.as_slice(), &[0; 32]].concat());
        });
    }
    // These sign what the handshake has come to.
    let signed = |change: &dyn Fn(&mut Attacker, &[u8])| {
        said_by(sender, |this| {
            let bytes = this.signed_bytes();
            change(this, &bytes);
        })
    };
    let new = |name: &str, title: &str| {
        vector(&format!("proof-{name}-{message}"), title, &["IDP-2", "§5.3"], sender, message, "Proof")
    };
    let frame = signed(&|this, bytes| {
        let genuine = SigningKey::from_bytes(&this.knobs.secret).sign(bytes).to_bytes();
        this.knobs.proof = Some(malleated(&genuine));
    });
    all.push(with_frame(new("malleated", "S plus the order of the group"), &frame));
    let frame = signed(&|this, bytes| {
        let by_hand = sign_by_hand(bytes, 0, 1, 0);
        this.knobs.identity = Some(by_hand.identity.compress().to_bytes().to_vec());
        this.knobs.proof = Some(by_hand.proof);
    });
    all.push(with_frame(new("with-cofactor", "holds only if multiplied by the cofactor"), &frame));
    all
}

/// HSK-6.  The proof is genuine.
fn payloads(sender: Role) -> Vec<Value> {
    type Edit = Box<dyn Fn(&mut Pairs)>;
    type Rewrite = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;
    let message = message_of(sender);
    let mut all = Vec::new();
    let mut add = |name: &str, title: &str, frame: Vec<u8>| {
        let id = format!("payload-{name}-{message}");
        let vector = vector(&id, title, &["HSK-6", "§5.2"], sender, message, "Payload");
        all.push(with_frame(vector, &frame));
    };
    let edited = |edit: Edit| said_by(sender, |this| this.knobs.edit = edit);
    let rewritten = |rewrite: Rewrite| said_by(sender, |this| this.knobs.rewrite = rewrite);
    for key in 0..8_usize {
        add(
            &format!("without-{key}"),
            "a key is missing",
            edited(Box::new(move |pairs| drop(pairs.remove(key)))),
        );
        let wrong = move |pairs: &mut Pairs| pairs[key].1 = text("no");
        add(&format!("type-{key}"), "a value of another type", edited(Box::new(wrong)));
    }
    let values: [(&str, usize, Vec<u8>); 12] = [
        ("identity-31", 0, bytes(&[1; 31])),
        ("identity-33", 0, bytes(&[1; 33])),
        ("proof-63", 1, bytes(&[1; 63])),
        ("proof-65", 1, bytes(&[1; 65])),
        ("max-frame-255", 2, uint(255)),
        ("max-frame-65536", 2, uint(65_536)),
        ("max-requests-65536", 3, uint(65_536)),
        ("max-subscriptions-65536", 4, uint(65_536)),
        ("window-too-large", 5, uint(1 << 32)),
        ("silence-too-large", 6, uint(u64::MAX)),
        ("silence-negative", 6, negative(0)),
        ("number-not-shortest", 3, long_head(0, 4, 2)),
    ];
    for (name, key, value) in values {
        let edit = move |pairs: &mut Pairs| pairs[key].1.clone_from(&value);
        add(name, "a value of another size, range or form", edited(Box::new(edit)));
    }
    for key in [8, 15] {
        let edit = move |pairs: &mut Pairs| pairs.push((uint(key), uint(0)));
        add(&format!("unknown-{key}"), "an unknown key below 16", edited(Box::new(edit)));
    }
    add("key-24", "a key that does not exist", edited(Box::new(|pairs| pairs.push((uint(24), uint(0))))));
    add("order", "keys in another order", edited(Box::new(|pairs| pairs.swap(2, 3))));
    add("twice", "a key twice", edited(Box::new(|pairs| pairs.insert(3, pairs[2].clone()))));
    add("empty", "nothing", rewritten(Box::new(|_| Vec::new())));
    add("array", "no map", rewritten(Box::new(|_| array(&[]))));
    add("empty-map", "a map without keys", rewritten(Box::new(|_| map(&[]))));
    add("behind", "a byte behind the map", rewritten(Box::new(|payload| [payload, vec![0]].concat())));
    add(
        "cut",
        "a byte less",
        rewritten(Box::new(|mut payload| {
            payload.pop();
            payload
        })),
    );
    all
}
