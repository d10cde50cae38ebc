//! A peer driven by hand, which shares no code with the library: snow with its own resolver runs the handshake,
//! ed25519-dalek signs, and messages are bytes.  It keeps every rule until a test changes one of its [`Knobs`].
//!
//! ```ignore
//! let (mut attacker, mut victim) = Attacker::dial(Knobs::default());   // or Attacker::listen
//! attacker.handshake(&mut victim);
//! victim.feed(&attacker.seal(&message::ping(7)));
//! assert_eq!(attacker.open(&victim.written()), [message::pong(7)]);
//! ```

mod keys;
mod knobs;
mod victim;

use ed25519_dalek::{Signer, SigningKey};
use symbolon::{Admission, Role};

use self::keys::Keys;
pub use self::keys::public_of;
pub use self::knobs::Knobs;
pub use self::victim::Victim;
use super::cbor::{bytes, map, message, uint};
use super::{Happened, device};

/// The Noise protocol that a responder's preamble chooses.
pub fn suite(answer: &[u8; 8]) -> &'static str {
    match answer {
        [.., 0, 2] => "Noise_XX_25519_AESGCM_SHA256",
        _ => "Noise_XX_25519_ChaChaPoly_SHA256",
    }
}

/// What an initiator of version 1 begins with, and what it is answered.
pub const OFFER: [u8; 8] = *b"symb\x01\x00\x00\x01";
pub const ANSWER: [u8; 8] = *b"olon\x01\x00\x00\x01";
/// The number of the device that the attacker attacks.
pub const VICTIM: u8 = 1;

/// The pairs of a payload: encoded keys and values.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The attacker, by steps: [`begin`](Self::begin), then [`hear`](Self::hear) and [`say`](Self::say) for each
/// handshake message, then [`seal`](Self::seal) and [`open`](Self::open); or [`handshake`](Self::handshake).
pub struct Attacker {
    pub role: Role,
    pub knobs: Knobs,
    /// The victim's bytes that were not looked at.
    heard: Vec<u8>,
    offer: [u8; 8],
    noise: Option<Box<snow::HandshakeState>>,
    transport: Option<snow::StatelessTransportState>,
    /// The keys of Noise's Split, the initiator's first.
    pub split: Option<([u8; 32], [u8; 32])>,
    /// The nonces of the next frames; a test may change them.
    pub sending: u64,
    pub receiving: u64,
    /// The handshake hash after the last message.
    pub hash: [u8; 32],
    /// The payload of the victim's handshake message.
    pub victim_payload: Vec<u8>,
    pub victim_static: Option<[u8; 32]>,
}

impl Attacker {
    pub fn new(role: Role, knobs: Knobs) -> Self {
        Self {
            role,
            knobs,
            heard: Vec::new(),
            offer: OFFER,
            noise: None,
            transport: None,
            split: None,
            sending: 0,
            receiving: 0,
            hash: [0; 32],
            victim_payload: Vec::new(),
            victim_static: None,
        }
    }

    /// An attacker that dials device [`VICTIM`], which lets him in.
    pub fn dial(knobs: Knobs) -> (Self, Victim) {
        let admission = Admission::expect(knobs.peer_id());
        (Self::new(Role::Initiator, knobs), Victim::new(Role::Responder, &device(VICTIM), admission))
    }

    /// An attacker that device [`VICTIM`] dials, and lets in.
    pub fn listen(knobs: Knobs) -> (Self, Victim) {
        let admission = Admission::expect(knobs.peer_id());
        (Self::new(Role::Responder, knobs), Victim::new(Role::Initiator, &device(VICTIM), admission))
    }

    /// The attacker in this role, and the victim in the other.
    pub fn against(role: Role, knobs: Knobs) -> (Self, Victim) {
        if role.is_initiator() { Self::dial(knobs) } else { Self::listen(knobs) }
    }

    /// Both connected by the book, whichever role the attacker has; the victim's events so far forgotten.
    pub fn connected(role: Role) -> (Self, Victim) {
        Self::connected_with(role, Knobs::default())
    }

    pub fn connected_with(role: Role, knobs: Knobs) -> (Self, Victim) {
        let (mut attacker, mut victim) = Self::against(role, knobs);
        attacker.handshake(&mut victim);
        if role.is_initiator() {
            assert_eq!(attacker.open(&victim.written()), [message::accept()]);
        } else {
            victim.feed(&attacker.seal(&message::accept()));
        }
        assert_eq!(victim.events(), [Happened::Connected(attacker.knobs.peer_id())]);
        (attacker, victim)
    }

    /// Both just before his message with a payload, which is message 3 where he dials and message 2 where he
    /// listens; what the victim wrote so far is read.
    pub fn before_payload(role: Role, knobs: Knobs) -> (Self, Victim) {
        let (mut attacker, mut victim) = Self::against(role, knobs);
        let mut written = victim.written();
        victim.feed(&attacker.begin());
        written.extend(victim.written());
        assert!(attacker.hear(&written));
        assert_eq!(victim.events(), []);
        (attacker, victim)
    }

    /// Runs the three messages, as this attacker makes them, until he has transport keys or the victim has ended.
    pub fn handshake(&mut self, victim: &mut Victim) {
        if self.role.is_initiator() {
            victim.feed(&self.begin());
            if victim.is_closed() || !self.hear(&victim.written()) {
                return;
            }
            victim.feed(&self.say());
        } else {
            let written = victim.written();
            let preamble = self.begin();
            self.hear(&written);
            victim.feed(&preamble);
            victim.feed(&self.say());
            if !victim.is_closed() {
                self.hear(&victim.written());
            }
        }
    }

    /// His first bytes: an initiator's preamble with message 1 behind it, or a responder's preamble.
    pub fn begin(&mut self) -> Vec<u8> {
        if self.role.is_initiator() {
            self.offer = self.knobs.preamble.unwrap_or(OFFER);
            let message = self.message_1();
            return [self.offer.to_vec(), framed(&message)].concat();
        }
        self.knobs.preamble.unwrap_or(ANSWER).to_vec()
    }

    /// Message 1 without its frame: a bare key needs neither prologue nor cipher.
    pub fn message_1(&self) -> Vec<u8> {
        let mut noise = self.build(&ANSWER, &[]);
        write(&mut noise, &self.knobs.payload_1)
    }

    /// Takes what the victim wrote; `true` where its next handshake message was there and opened.
    pub fn hear(&mut self, written: &[u8]) -> bool {
        self.heard.extend_from_slice(written);
        if self.noise.is_none() {
            if self.heard.len() < 8 {
                return false;
            }
            let preamble: [u8; 8] = self.heard.drain(..8).collect::<Vec<_>>().try_into().expect("8 bytes");
            let (offer, answer) = if self.role.is_initiator() {
                (self.offer, preamble)
            } else {
                (preamble, self.knobs.preamble.unwrap_or(ANSWER))
            };
            let prologue = [offer, answer].concat();
            let mut noise = self.build(&answer, self.knobs.prologue.as_ref().unwrap_or(&prologue));
            if self.role.is_initiator() {
                write(&mut noise, &self.knobs.payload_1);
            }
            self.noise = Some(noise);
        }
        let (Some(message), Some(noise)) = (take_frame(&mut self.heard), &mut self.noise) else {
            return false;
        };
        let mut payload = vec![0; message.len()];
        let Ok(len) = noise.read_message(&message, &mut payload) else { return false };
        payload.truncate(len);
        self.victim_payload = payload;
        self.victim_static = noise.get_remote_static().map(|key| key.try_into().expect("32 bytes"));
        self.after_message();
        true
    }

    /// His next handshake message, in its frame.
    pub fn say(&mut self) -> Vec<u8> {
        let payload = self.payload();
        self.say_payload(&payload)
    }

    /// His next handshake message, with this payload.
    pub fn say_payload(&mut self, payload: &[u8]) -> Vec<u8> {
        let message = write(self.noise.as_mut().expect("the preambles were exchanged"), payload);
        self.after_message();
        framed(&message)
    }

    fn after_message(&mut self) {
        let Some(noise) = &self.noise else { return };
        self.hash.copy_from_slice(noise.get_handshake_hash());
        if noise.is_handshake_finished() {
            let mut noise = self.noise.take().expect("checked above");
            self.split = Some(noise.dangerously_get_raw_split());
            self.transport = Some(noise.into_stateless_transport_mode().expect("finished"));
        }
    }

    /// The payload of message 2 or 3 as the knobs say.
    pub fn payload(&self) -> Vec<u8> {
        let knobs = &self.knobs;
        let numbers = [
            knobs.max_frame,
            knobs.max_requests,
            knobs.max_subscriptions,
            knobs.window,
            knobs.silence,
            knobs.features,
        ];
        let identity = knobs.identity.clone().unwrap_or_else(|| knobs.peer_id().as_bytes().to_vec());
        let proof = knobs.proof.clone().unwrap_or_else(|| self.proof());
        let mut pairs = vec![(uint(0), bytes(&identity)), (uint(1), bytes(&proof))];
        pairs.extend((2..).zip(numbers).map(|(key, number)| (uint(key), uint(number))));
        (knobs.edit)(&mut pairs);
        (knobs.rewrite)(map(&pairs))
    }

    /// What the proof covers, at this point of the handshake.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let knobs = &self.knobs;
        let role = knobs.proof_role.unwrap_or_else(|| if self.role.is_initiator() { 1 } else { 2 });
        let hash = knobs.proof_hash.unwrap_or(self.hash);
        let key = knobs.proof_static.unwrap_or_else(|| self.static_public());
        [knobs.proof_domain.as_slice(), &[role], &hash, &key].concat()
    }

    fn proof(&self) -> Vec<u8> {
        let signer = self.knobs.signer.unwrap_or(self.knobs.secret);
        SigningKey::from_bytes(&signer).sign(&self.signed_bytes()).to_bytes().to_vec()
    }

    /// The static key that he sends.
    pub fn static_public(&self) -> [u8; 32] {
        self.knobs.static_public.unwrap_or_else(|| public_of(&self.knobs.static_private))
    }

    /// One frame with this plaintext, sealed under the next nonce.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let n = self.sending;
        self.sending += 1;
        let frame = self.seal_at(n, plaintext);
        if self.sending.is_multiple_of(65_536) {
            self.transport.as_mut().expect("keys").rekey_outgoing();
        }
        frame
    }

    /// One frame with this plaintext, sealed under this nonce and the present key.
    pub fn seal_at(&self, n: u64, plaintext: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plaintext.len() + 16];
        let len = self
            .transport
            .as_ref()
            .expect("the handshake is over")
            .write_message(n, plaintext, &mut sealed)
            .expect("room");
        framed(&sealed[..len])
    }

    /// One frame for each of these plaintexts.
    pub fn seal_each(&mut self, plaintexts: &[Vec<u8>]) -> Vec<u8> {
        plaintexts.iter().flat_map(|plaintext| self.seal(plaintext)).collect()
    }

    /// The plaintext of each frame that is complete in what the victim wrote; panics where one does not open.
    pub fn open(&mut self, written: &[u8]) -> Vec<Vec<u8>> {
        self.heard.extend_from_slice(written);
        let mut plaintexts = Vec::new();
        while let Some(sealed) = take_frame(&mut self.heard) {
            plaintexts.push(self.open_one(&sealed).expect("a frame that opens"));
        }
        plaintexts
    }

    /// The plaintext of this Noise message, which is the next one of the victim.
    pub fn open_one(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        let transport = self.transport.as_mut().expect("the handshake is over");
        let mut plaintext = vec![0; sealed.len()];
        let len = transport.read_message(self.receiving, sealed, &mut plaintext).ok()?;
        plaintext.truncate(len);
        self.receiving += 1;
        if self.receiving.is_multiple_of(65_536) {
            transport.rekey_incoming();
        }
        Some(plaintext)
    }

    pub fn has_keys(&self) -> bool {
        self.transport.is_some()
    }

    /// Bytes of the victim's that are not a whole frame.
    pub fn leftover(&self) -> &[u8] {
        &self.heard
    }

    fn build(&self, answer: &[u8; 8], prologue: &[u8]) -> Box<snow::HandshakeState> {
        let knobs = &self.knobs;
        let resolver = Keys {
            replaced: [knobs.static_public, knobs.ephemeral_public],
            zero: knobs.zero_secrets,
            given: std::cell::Cell::new(0),
        };
        let builder =
            snow::Builder::with_resolver(suite(answer).parse().expect("a known suite"), Box::new(resolver))
                .local_private_key(&knobs.static_private)
                .expect("once")
                .fixed_ephemeral_key_for_testing_only(&knobs.ephemeral_private)
                .prologue(prologue)
                .expect("once");
        Box::new(
            if self.role.is_initiator() { builder.build_initiator() } else { builder.build_responder() }
                .expect("all that XX needs"),
        )
    }
}

/// A frame of this content, whatever its length means.
pub fn framed(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("a frame is below 64 KiB");
    [&len.to_be_bytes(), content].concat()
}

/// Takes the content of the first frame out, if it is complete.
pub fn take_frame(stream: &mut Vec<u8>) -> Option<Vec<u8>> {
    let len = usize::from(u16::from_be_bytes(*stream.first_chunk()?));
    if stream.len() < 2 + len {
        return None;
    }
    let frame = stream.drain(..2 + len).skip(2).collect();
    Some(frame)
}

fn write(noise: &mut snow::HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; payload.len() + 96];
    let len = noise.write_message(payload, &mut message).expect("his turn, and room");
    message.truncate(len);
    message
}
