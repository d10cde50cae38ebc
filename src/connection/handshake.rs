//! From the first byte to transport keys: preambles, the three Noise messages, the proofs, the decision.
//!
//! ```text
//!  initiator:  Preamble ──► Message2 ──► (Deciding) ──► Established
//!  responder:  Preamble ──► Message1 ──► Message3 ────► Established
//! ```
//!
//! SPEC §3, §5, §6

use crate::buffer::Buffer;
use crate::config::{Admission, Config};
use crate::crypto::{KeyPair, Provider, SigningKey, Suite};
use crate::error::HandshakeError;
use crate::identity::{self, PeerId, Seed};
use crate::noise;
use crate::role::Role;
use crate::wire::frame;
use crate::wire::payload::{self, Payload, PeerLimits};
use crate::wire::preamble::{
    InitiatorPreamble, PREAMBLE_LEN, PROFILE, RefusalCode, ResponderPreamble, VERSION,
};

/// How much longer message 3 is than its payload: a key and two tags.
const MESSAGE_3_OVERHEAD: usize = 64;
/// How many packets of a line may fail before the handshake does.  SPEC §19.2 SER-11
const FORGIVEN_MAX: u8 = 16;

/// A handshake on its way, with copies of the keys it needs; all are wiped when it is dropped.
pub(crate) struct Handshake {
    role: Role,
    step: Step,
    provider: Provider,
    signing: SigningKey,
    static_key: KeyPair,
    ephemeral: KeyPair,
    admission: Admission,
    limits: PeerLimits,
    offer: [u8; PREAMBLE_LEN],
    /// What the Noise state begins with, once both preambles are known.
    begun: Option<(Suite, [u8; 2 * PREAMBLE_LEN])>,
    /// Responder: the initiator's ephemeral key.
    message_1: [u8; 32],
    /// `None` also where a packet of a line has used it up; see [`Handshake::begin_again`].
    noise: Option<noise::Handshake>,
    /// Packets of a line that failed.
    forgiven: u8,
    /// The other side, once its proof held.
    proven: Option<(PeerId, PeerLimits)>,
    busy: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Preamble,
    Message1,
    Message2,
    /// Initiator: the application decides before message 3 is written.
    Deciding,
    Message3,
}

/// What a step led to.
pub(crate) enum Progress {
    /// The next unit is wanted.
    Continue,
    /// Initiator: the application is asked about this peer.
    Ask(PeerId),
    /// Transport keys stand.
    Established(Established),
}

/// What a handshake leaves.
pub(crate) struct Established {
    pub(crate) ciphers: noise::Ciphers,
    pub(crate) peer: PeerId,
    pub(crate) limits: PeerLimits,
    /// Whether this side lets the peer in; `None` where the application is still to say.
    pub(crate) admitted: Option<bool>,
}

/// Why a handshake failed: a fault, or this side does not want the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failed {
    Fault(HandshakeError),
    /// The responder's refusal in its preamble.
    Refused(RefusalCode),
    NotAdmitted(PeerId),
}

impl From<HandshakeError> for Failed {
    fn from(error: HandshakeError) -> Self {
        Self::Fault(error)
    }
}

impl From<noise::NoiseError> for Failed {
    fn from(_: noise::NoiseError) -> Self {
        Self::Fault(HandshakeError::Unauthentic)
    }
}

impl Handshake {
    /// Begins; an initiator's first bytes go to `out`.
    ///
    /// # Errors
    ///
    /// HSK-5: the seed is the identity's; message 1 would publish the static key's public part.
    pub(crate) fn new(
        role: Role,
        config: &Config,
        admission: Admission,
        limits: PeerLimits,
        seed: &Seed,
        out: &mut Buffer,
    ) -> Result<Self, HandshakeError> {
        let provider = config.provider;
        // It betrays a generator that repeats, too.
        if seed.as_bytes() == config.identity.static_key().private() {
            return Err(HandshakeError::RepeatedSeed);
        }
        let ephemeral = KeyPair::new(provider, seed.as_bytes());
        let suites = provider.suites();
        let offer = InitiatorPreamble { version: VERSION, profile: PROFILE, suites }.encode();
        if role.is_initiator() {
            out.extend_from_slice(&offer);
            // Message 1 is the bare ephemeral key, so it needs neither cipher nor prologue, and saves a round trip.
            push_frame(out, ephemeral.public());
        }
        Ok(Self {
            role,
            step: Step::Preamble,
            provider,
            signing: config.identity.signing_key().clone(),
            static_key: config.identity.static_key().clone(),
            ephemeral,
            admission,
            limits,
            offer,
            begun: None,
            message_1: [0; 32],
            noise: None,
            forgiven: 0,
            proven: None,
            busy: false,
        })
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// The peer, once it has proven who it is.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.proven.map(|(peer, _)| peer)
    }

    /// Whether the next unit is a preamble, not a frame.
    pub(crate) fn wants_preamble(&self) -> bool {
        self.step == Step::Preamble
    }

    /// Whether the application is asked, and nothing is read meanwhile.
    pub(crate) fn is_deciding(&self) -> bool {
        self.step == Step::Deciding
    }

    /// Answers a valid preamble with *busy*.  SPEC §3
    pub(crate) fn turn_away(&mut self) {
        self.busy = true;
    }

    /// Whether these bytes can be the beginning of the preamble that is wanted.  SPEC §3 PRE-2, PRE-3
    pub(crate) fn magic_matches(&self, prefix: &[u8]) -> bool {
        match self.role {
            Role::Initiator => ResponderPreamble::magic_matches(prefix),
            Role::Responder => InitiatorPreamble::magic_matches(prefix),
        }
    }

    /// Checks the length of a handshake frame before a byte of it is stored.  SPEC §4 FRM-1
    pub(crate) fn check_length(&self, len: u16) -> Result<(), HandshakeError> {
        let bare_key = self.step != Step::Message1 || len == 32;
        if len == 0 || usize::from(len) > frame::HANDSHAKE_MAX || !bare_key {
            return Err(HandshakeError::FrameLength(len));
        }
        Ok(())
    }

    /// Takes the other side's preamble.  SPEC §3
    pub(crate) fn on_preamble(
        &mut self,
        bytes: [u8; PREAMBLE_LEN],
        out: &mut Buffer,
    ) -> Result<Progress, Failed> {
        match self.role {
            Role::Initiator => self.on_answer(bytes),
            Role::Responder => self.on_offer(bytes, out),
        }
    }

    /// Takes the next Noise message.  SPEC §5
    pub(crate) fn on_message(&mut self, message: &[u8], out: &mut Buffer) -> Result<Progress, Failed> {
        let mut payload = [0; frame::HANDSHAKE_MAX];
        if self.noise.is_none() {
            self.begin_again()?;
        }
        let noise = self.noise.as_mut().ok_or(HandshakeError::Unauthentic)?;
        let hash = noise.hash();
        let len = noise.read(message, &mut payload)?;
        let payload = payload.get(..len).unwrap_or_default();
        match self.step {
            Step::Message1 => {
                self.message_1 = message.try_into().map_err(|_| HandshakeError::Unauthentic)?;
                self.write(out)?;
                self.step = Step::Message3;
                Ok(Progress::Continue)
            }
            Step::Message2 => {
                let peer = self.check_payload(payload, &hash)?;
                match self.decide(peer) {
                    Some(true) => self.finish_initiator(out),
                    Some(false) => Err(Failed::NotAdmitted(peer)),
                    None => {
                        self.step = Step::Deciding;
                        Ok(Progress::Ask(peer))
                    }
                }
            }
            Step::Message3 => {
                let peer = self.check_payload(payload, &hash)?;
                self.establish(self.decide(peer))
            }
            Step::Preamble | Step::Deciding => Err(HandshakeError::Unauthentic.into()),
        }
    }

    /// Initiator: writes message 3 for a peer that is let in.  SPEC §6 ADM-1
    pub(crate) fn finish_initiator(&mut self, out: &mut Buffer) -> Result<Progress, Failed> {
        self.write(out)?;
        self.establish(Some(true))
    }

    fn on_offer(&mut self, bytes: [u8; PREAMBLE_LEN], out: &mut Buffer) -> Result<Progress, Failed> {
        let offer = InitiatorPreamble::decode(bytes).map_err(|_| HandshakeError::NotSymbolon)?;
        let spoken = self.provider.suites();
        let suite = Suite::best_of(offer.suites & spoken);
        let refusal = if offer.version < VERSION {
            Some(RefusalCode::Version)
        } else if offer.profile != PROFILE {
            Some(RefusalCode::Profile)
        } else if suite.is_none() {
            Some(RefusalCode::Suite)
        } else {
            self.busy.then_some(RefusalCode::Busy)
        };
        let (Some(suite), None) = (suite, refusal) else {
            let code = refusal.unwrap_or(RefusalCode::Suite);
            let answer = ResponderPreamble { version: VERSION, code: Some(code), suites: spoken };
            out.extend_from_slice(&answer.encode());
            return Err(HandshakeError::Refused(code).into());
        };
        let answer = ResponderPreamble { version: VERSION, code: None, suites: suite.bit() }.encode();
        out.extend_from_slice(&answer);
        self.begin_noise(suite, bytes, answer)?;
        self.step = Step::Message1;
        Ok(Progress::Continue)
    }

    /// SPEC §3 PRE-5
    fn on_answer(&mut self, bytes: [u8; PREAMBLE_LEN]) -> Result<Progress, Failed> {
        let answer = ResponderPreamble::decode(bytes).map_err(|_| HandshakeError::Preamble)?;
        if let Some(code) = answer.code {
            return Err(Failed::Refused(code));
        }
        let offered = self.provider.suites();
        let suite = Suite::from_bit(answer.suites).filter(|suite| suite.bit() & offered != 0);
        let Some(suite) = suite.filter(|_| answer.version == VERSION) else {
            return Err(HandshakeError::Preamble.into());
        };
        self.step = Step::Message2;
        self.begin_noise(suite, self.offer, bytes)?;
        Ok(Progress::Continue)
    }

    /// SPEC §5.1: the prologue is both preambles.
    fn begin_noise(
        &mut self,
        suite: Suite,
        offer: [u8; PREAMBLE_LEN],
        answer: [u8; PREAMBLE_LEN],
    ) -> Result<(), Failed> {
        let mut prologue = [0; 2 * PREAMBLE_LEN];
        prologue[..PREAMBLE_LEN].copy_from_slice(&offer);
        prologue[PREAMBLE_LEN..].copy_from_slice(&answer);
        self.begun = Some((suite, prologue));
        self.begin_again()
    }

    /// Makes the Noise state as it is before the message that is awaited, out of what was kept: the same keys and
    /// preambles make the same messages again, byte for byte.
    fn begin_again(&mut self) -> Result<(), Failed> {
        let (suite, prologue) = self.begun.ok_or(HandshakeError::Unauthentic)?;
        let (static_key, ephemeral) = (&self.static_key, &self.ephemeral);
        let mut noise =
            noise::Handshake::new(self.role, self.provider, suite, static_key, ephemeral, &prologue)?;
        let mut scratch = [0; frame::HANDSHAKE_MAX];
        match self.step {
            Step::Message2 => {
                // What was sent ahead becomes message 1 of this state: it is the same key.
                noise.write(&[], &mut scratch)?;
            }
            Step::Message3 => {
                noise.read(&self.message_1, &mut scratch)?;
            }
            Step::Preamble | Step::Message1 | Step::Deciding => {}
        }
        self.noise = Some(noise);
        if self.step == Step::Message3 {
            // It was sent already.
            self.write(&mut Buffer::with_capacity(frame::MIN_FRAME.into()))?;
        }
        Ok(())
    }

    /// On a line: whether this preamble is for this handshake at this point.  An initiator takes another answer
    /// until it has message 2, since the first may have been noise.  SPEC §19.2 SER-9
    pub(crate) fn takes_preamble(&self, preamble: &[u8; PREAMBLE_LEN]) -> bool {
        matches!(self.step, Step::Preamble | Step::Message2) && self.magic_matches(preamble)
    }

    /// On a line: whether this Noise message, by its number, is the one that is awaited.
    pub(crate) fn awaits_message(&self, number: u8) -> bool {
        match self.step {
            Step::Preamble => number == if self.role.is_initiator() { 2 } else { 1 },
            Step::Message1 => number == 1,
            Step::Message2 => number == 2,
            Step::Message3 => number == 3,
            Step::Deciding => false,
        }
    }

    /// On a line: whether a Noise message of this length can be the one that is awaited.  SPEC §19.2 SER-9
    pub(crate) fn takes_length(&self, len: usize) -> bool {
        let least = match self.step {
            Step::Message1 => return len == 32,
            // The longest of the three.
            Step::Message2 => noise::MAX_OVERHEAD,
            Step::Message3 => MESSAGE_3_OVERHEAD,
            Step::Preamble | Step::Deciding => return false,
        };
        (least + payload::PAYLOAD_MIN..=frame::HANDSHAKE_MAX).contains(&len)
    }

    /// On a line: forgets a packet that failed, so that the genuine one can still come; `false` where there were
    /// too many, since each costs operations on a curve.  SPEC §19.2 SER-10, SER-11
    pub(crate) fn forgive(&mut self) -> bool {
        // snow's calls are not transactional.
        self.noise = None;
        self.forgiven = self.forgiven.saturating_add(1);
        self.forgiven <= FORGIVEN_MAX
    }

    /// Initiator: its message 1.
    pub(crate) fn message_1(&self) -> Option<[u8; 32]> {
        self.role.is_initiator().then(|| *self.ephemeral.public())
    }

    /// Checks what the other side says of itself, in the order of SPEC §5.4.
    fn check_payload(&mut self, bytes: &[u8], hash: &[u8; 32]) -> Result<PeerId, Failed> {
        let payload = Payload::decode(bytes).map_err(HandshakeError::Payload)?;
        if payload.identity == self.signing.public() {
            return Err(HandshakeError::OwnIdentity.into());
        }
        let remote_static = self.noise.as_ref().and_then(noise::Handshake::remote_static);
        let remote_static = remote_static.ok_or(HandshakeError::Unauthentic)?;
        let peer = identity::verify(
            self.provider,
            &payload.identity,
            &payload.proof,
            !self.role,
            hash,
            &remote_static,
        );
        let peer = peer.ok_or(HandshakeError::Proof)?;
        self.proven = Some((peer, payload.limits));
        Ok(peer)
    }

    fn decide(&self, peer: PeerId) -> Option<bool> {
        match &self.admission {
            Admission::Ask => None,
            Admission::Only(peers) => Some(peers.contains(&peer)),
        }
    }

    /// Writes message 2 or 3: the proof over the hash so far, and this side's limits.  SPEC §5.2, §5.3
    fn write(&mut self, out: &mut Buffer) -> Result<(), Failed> {
        let noise = self.noise.as_mut().ok_or(HandshakeError::Unauthentic)?;
        let own = Payload {
            identity: self.signing.public(),
            proof: identity::prove(
                self.provider,
                &self.signing,
                self.role,
                &noise.hash(),
                self.static_key.public(),
            ),
            limits: self.limits,
        };
        // Where the message will be: no other memory is needed.
        let start = out.len();
        own.encode(out);
        let mut message = [0; frame::HANDSHAKE_MAX];
        let written = noise.write(out.get(start..).unwrap_or_default(), &mut message);
        out.truncate(start);
        push_frame(out, message.get(..written?).unwrap_or_default());
        Ok(())
    }

    fn establish(&mut self, admitted: Option<bool>) -> Result<Progress, Failed> {
        let noise = self.noise.take().ok_or(HandshakeError::Unauthentic)?;
        let (peer, limits) = self.proven.ok_or(HandshakeError::Proof)?;
        Ok(Progress::Established(Established { ciphers: noise.split()?, peer, limits, admitted }))
    }
}

/// Appends a handshake frame; its content is at most [`frame::HANDSHAKE_MAX`] bytes.
fn push_frame(out: &mut Buffer, content: &[u8]) {
    let len = u16::try_from(content.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(content);
}
