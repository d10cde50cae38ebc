//! Plays one script against one adapter: hands in what its steps say, and holds what comes out against them.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use crate::account::Account;
use crate::cipher::Cipher;
use crate::messages::{decode, encode, hex, kind, matches, number, unhex};
use crate::process::Adapter;

/// Why a script did not pass.
pub enum Fault {
    /// The peer does otherwise than the script says.
    Failed(String),
    /// The adapter cannot do it.
    Unsupported(String),
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self::Failed(what)
    }
}

/// How often time is told to an adapter that does not say when it wants to know.
const TICK: u64 = 50;

pub struct Play<'a> {
    adapter: &'a mut dyn Adapter,
    /// How many bytes are handed in at once; 0: all.
    chunk: usize,
    now: u64,
    next: Option<Value>,
    line: bool,
    /// For each session: the peer's cipher, and the subject's.
    ciphers: Vec<(Cipher, Cipher)>,
    /// What the subject has sent and nobody has asked for: bytes, then messages of opened frames with their session.
    out: Vec<u8>,
    /// On a line: the packet that is not there as a whole.
    packed: Vec<u8>,
    said: VecDeque<(usize, Value)>,
    told: VecDeque<Value>,
    granted: BTreeMap<u64, u64>,
    account: Account,
    closed: bool,
    /// What an adapter says beyond its duty of why the connection ended.
    pub error: Option<String>,
    /// The longest frame that the peer takes.  FRM-2
    longest: u64,
}

impl<'a> Play<'a> {
    /// Opens a subject as this setup says.
    pub fn open(adapter: &'a mut dyn Adapter, setup: &Value, chunk: usize) -> Result<Self, Fault> {
        let keys = match &setup["keys"] {
            Value::Array(sessions) => sessions.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        let pair = |keys: &Value| Ok::<_, Fault>((Cipher::of(keys, "in")?, Cipher::of(keys, "out")?));
        let mut this = Self {
            adapter,
            chunk,
            now: 0,
            next: None,
            line: setup["binding"] == "line",
            ciphers: keys.iter().map(pair).collect::<Result<_, _>>()?,
            out: Vec::new(),
            packed: Vec::new(),
            said: VecDeque::new(),
            told: VecDeque::new(),
            granted: BTreeMap::new(),
            account: Account::of(setup),
            closed: false,
            error: None,
            longest: setup["peer"]["max_frame"].as_u64().unwrap_or(65_535),
        };
        let mut open = setup.clone();
        for field in ["peer", "keys", "steps"] {
            open.as_object_mut().map(|fields| fields.remove(field));
        }
        open["cmd"] = "open".into();
        this.ask(open)?;
        Ok(this)
    }

    /// Plays these steps.
    pub fn run(&mut self, steps: &Value) -> Result<(), Fault> {
        for (place, step) in steps.as_array().into_iter().flatten().enumerate() {
            self.step(step).map_err(|fault| match fault {
                Fault::Failed(what) => Fault::Failed(format!("step {place}, {step}: {what}")),
                unsupported @ Fault::Unsupported(_) => unsupported,
            })?;
        }
        Ok(())
    }

    /// Nothing is left that was not asked for.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.nothing_left().map_err(|what| Fault::Failed(format!("at the end: {what}")))
    }

    fn step(&mut self, step: &Value) -> Result<(), Fault> {
        let fields = step.as_object().ok_or_else(|| "a step that is no object".to_owned())?;
        let has = |field: &str| fields.contains_key(field);
        let hands_in = ["in", "in_repeat", "eof", "at", "wakes", "do"];
        if hands_in.iter().any(|kind| has(kind)) {
            self.nothing_left().map_err(|what| format!("before it: {what}"))?;
        }
        if let Some(bytes) = step["in"].as_str() {
            let bytes = unhex(bytes);
            if let Some(messages) = step["messages"].as_array() {
                self.account.granted_by(messages);
                self.count_frames(&bytes);
            }
            self.feed(&bytes)
        } else if let Some(times) = step["in_repeat"].as_u64() {
            let messages = step["messages"].as_array().map_or(&[][..], Vec::as_slice);
            self.account.granted_by(messages);
            let plaintext = encode(messages)?;
            // In one piece: cut into bytes it would take minutes.
            let frames: Vec<u8> = (0..times).flat_map(|_| self.ciphers[0].0.seal(&plaintext)).collect();
            frames.chunks(65_536).try_for_each(|piece| self.hand_in(piece))
        } else if has("eof") {
            self.ask(json!({ "cmd": "eof", "now": self.now }))
        } else if let Some(time) = step["at"].as_u64() {
            self.pass(time)
        } else if let Some(time) = step["wakes"].as_u64() {
            self.now = time;
            self.tick()
        } else if has("do") {
            let mut command = step.clone();
            command["cmd"] = "do".into();
            command["now"] = self.now.into();
            self.ask(command)
        } else {
            Ok(self.expect(step)?)
        }
    }

    fn expect(&mut self, step: &Value) -> Result<(), String> {
        if let Some(digits) = step["out"].as_str() {
            let expected = unhex(digits);
            let found = &self.out[..expected.len().min(self.out.len())];
            if found != expected {
                return Err(format!("it sent {}", hex(&self.out)));
            }
            self.out.drain(..expected.len());
            return Ok(());
        }
        if let Some(expected) = step["says"].as_array() {
            let session = step["session"].as_u64().unwrap_or(0) as usize;
            self.open_frames()?;
            if step["any_order"] == true {
                let place = |(_, found): &(usize, Value)| {
                    expected.iter().position(|message| matches(message, found)).unwrap_or(usize::MAX)
                };
                self.said.make_contiguous().sort_by_key(place);
            }
            return expected.iter().try_for_each(|message| self.says(session, message));
        }
        if let Some(possible) = step["may_say"].as_array() {
            self.open_frames()?;
            for message in possible {
                if self.said.front().is_some_and(|(_, found)| matches(message, found)) {
                    self.said.pop_front();
                }
            }
            return Ok(());
        }
        if let Some(possible) = step["may_tell"].as_array() {
            for event in possible {
                if self.told.front().is_some_and(|found| has_fields_of(event, found)) {
                    self.told.pop_front();
                }
            }
            return Ok(());
        }
        if let Some(credit) = step["credit"].as_array() {
            self.open_frames()?;
            let granted = self.granted.get(&number(&credit[0])).copied().unwrap_or(0);
            return if granted >= number(&credit[1]) {
                Ok(())
            } else {
                Err(format!("it has granted {granted}"))
            };
        }
        if step.get("event").is_some() {
            return self.tells(step);
        }
        if step["closed"] == true {
            return if self.closed { Ok(()) } else { Err("it does not want the stream closed".into()) };
        }
        Err("an unknown step".into())
    }

    fn says(&mut self, session: usize, expected: &Value) -> Result<(), String> {
        let (under, mut found) = self.said.pop_front().ok_or("it says nothing")?;
        // However a body was cut; and pongs may be merged.  MSG-2
        let goes_on = |found: &Value, next: &Value| match found[0].as_u64() {
            Some(kind::PONG) => next[0] == kind::PONG,
            Some(kind::DATA) => next[0] == kind::DATA && next[1] == found[1],
            Some(kind::PUBLICATION) => {
                more(&found[3]) && next[0] == kind::CONTINUATION && next[1] == found[1]
            }
            _ => false,
        };
        while self.said.front().is_some_and(|(of, next)| *of == under && goes_on(&found, next)) {
            let Some((_, next)) = self.said.pop_front() else { break };
            join(&mut found, &next);
        }
        if under != session {
            return Err(format!("it says under the keys of session {under}: {found}"));
        }
        if matches(expected, &found) { Ok(()) } else { Err(format!("it says {found}")) }
    }

    fn tells(&mut self, step: &Value) -> Result<(), String> {
        if step["event"] == "failed" {
            // What ends at one moment ends in any order.
            let mut ended = self.told.iter().take_while(|event| event["event"] == "failed");
            let place = ended.position(|event| has_fields_of(step, event)).unwrap_or(0);
            if place > 0 {
                self.told.swap(0, place);
            }
        }
        let mut found = self.told.pop_front().ok_or("it tells nothing")?;
        let joins = |found: &Value, next: &Value| {
            found["event"] == "data" && next["event"] == "data" && found["id"] == next["id"]
        };
        while self.told.front().is_some_and(|next| joins(&found, next)) {
            let Some(next) = self.told.pop_front() else { break };
            let [first, second] = [&found, &next].map(|event| event["bytes"].as_str().unwrap_or_default());
            found["bytes"] = [first, second].concat().into();
        }
        if let Some(error) = found["error"].as_str() {
            self.error = Some(error.to_owned());
        }
        if has_fields_of(step, &found) { Ok(()) } else { Err(format!("it tells {found}")) }
    }

    fn nothing_left(&mut self) -> Result<(), String> {
        self.open_frames()?;
        if !self.out.is_empty() {
            return Err(format!("it has sent {}", hex(&self.out)));
        }
        if let Some((_, message)) = self.said.front() {
            return Err(format!("it says {message}"));
        }
        match self.told.front() {
            Some(event) => Err(format!("it tells {event}")),
            None => Ok(()),
        }
    }

    /// Opens what the subject has sent since, but for preambles and the handshake, which the script has in bytes.
    fn open_frames(&mut self) -> Result<(), String> {
        loop {
            let (Some(sealed), len) = frame(&self.out) else { return Ok(()) };
            let mut opened = self.ciphers.iter_mut().enumerate();
            let found = opened.find_map(|(session, (_, cipher))| Some((session, cipher.open(&sealed)?)));
            let Some((session, plaintext)) = found else { return Ok(()) };
            if sealed.len() as u64 > self.longest {
                return Err(format!(
                    "a frame of {} bytes, and the peer takes {}",
                    sealed.len(),
                    self.longest
                ));
            }
            self.out.drain(..len);
            for message in decode(&plaintext)? {
                self.account.spent_by(&message)?;
                match message[0].as_u64() {
                    Some(kind::CREDIT) => {
                        let limit = message[2].as_u64().unwrap_or(u64::MAX);
                        let granted = self.granted.entry(message[1].as_u64().unwrap_or(0)).or_default();
                        *granted = limit.max(*granted);
                    }
                    Some(kind::PADDING) => {}
                    _ => self.said.push_back((session, message)),
                }
            }
        }
    }

    /// Takes the packets out of what was sent on a line.
    fn unpack(&mut self) -> Result<(), String> {
        while let Some(end) = self.packed.iter().position(|byte| *byte == 0) {
            let packet: Vec<u8> = self.packed.drain(..=end).take(end).collect();
            if packet.is_empty() {
                continue;
            }
            let decoded = cobs::decode_vec(&packet).map_err(|_| format!("no packet: {}", hex(&packet)))?;
            self.out.extend(decoded);
        }
        Ok(())
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let piece = if self.chunk == 0 { bytes.len().max(1) } else { self.chunk };
        bytes.chunks(piece).try_for_each(|piece| self.hand_in(piece))
    }

    /// Frames that were sealed elsewhere, so that the next one sealed here has the nonce behind theirs.
    fn count_frames(&mut self, mut bytes: &[u8]) {
        while let (Some(_), len) = frame(bytes) {
            if let Some((peer, _)) = self.ciphers.first_mut().filter(|_| !self.line) {
                peer.skip();
            }
            bytes = &bytes[len..];
        }
    }

    fn hand_in(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.ask(json!({ "cmd": "feed", "now": self.now, "bytes": hex(bytes) }))
    }

    /// Time goes on, and each timer fires when it is due.
    fn pass(&mut self, end: u64) -> Result<(), Fault> {
        while self.now < end {
            let next = match &self.next {
                None => self.now + TICK,
                Some(next) => next.as_u64().unwrap_or(end),
            };
            self.now = next.clamp(self.now + 1, end);
            self.tick()?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Fault> {
        self.ask(json!({ "cmd": "tick", "now": self.now }))
    }

    fn ask(&mut self, mut command: Value) -> Result<(), Fault> {
        let refused = command.as_object_mut().and_then(|fields| fields.remove("refused")).is_some();
        if command["cmd"] == "open" {
            command["now"] = self.now.into();
        }
        let answer = self.adapter.ask(&command)?;
        if let Some(why) = answer["unsupported"].as_str() {
            return Err(Fault::Unsupported(why.to_owned()));
        }
        let digits = answer["out"].as_str().ok_or_else(|| format!("no `out`: {answer}"))?;
        let out = unhex(digits);
        if 2 * out.len() != digits.len() {
            return Err(Fault::Failed(format!("no hexadecimal: {answer}")));
        }
        if self.line {
            self.packed.extend(out);
            self.unpack()?;
        } else {
            self.out.extend(out);
        }
        self.told.extend(answer["events"].as_array().into_iter().flatten().cloned());
        self.closed = answer["closed"] == true;
        self.next = answer.get("next").cloned();
        if (answer["refused"] == true) != refused {
            let what = if refused { "it does not refuse it" } else { "it refuses it" };
            return Err(Fault::Failed(what.to_owned()));
        }
        Ok(())
    }
}

/// What an implementation has to say beyond that is its own.
fn has_fields_of(expected: &Value, found: &Value) -> bool {
    let fields = expected.as_object().into_iter().flatten();
    fields.into_iter().all(|(field, value)| matches(value, &found[field.as_str()]))
}

fn more(flags: &Value) -> bool {
    flags.as_u64().is_some_and(|flags| flags & 1 != 0)
}

/// The content of the first frame, if it is there as a whole, and how many bytes it takes.
fn frame(bytes: &[u8]) -> (Option<Vec<u8>>, usize) {
    let Some((len, rest)) = bytes.split_first_chunk() else { return (None, 0) };
    let len = usize::from(u16::from_be_bytes(*len));
    match rest.get(..len) {
        Some(content) => (Some(content.to_vec()), 2 + len),
        None => (None, 0),
    }
}

/// Puts the next part behind what has come of a body.
fn join(found: &mut Value, next: &Value) {
    if found[0] == kind::PONG {
        found.clone_from(next);
        return;
    }
    let publication = found[0] == kind::PUBLICATION;
    let (place, behind) = if publication { (7, 3) } else { (2, 2) };
    let [first, second] =
        [&found[place], &next[behind]].map(|chunk| chunk["hex"].as_str().unwrap_or_default().to_owned());
    found[place] = json!({ "hex": first + &second });
    if publication && !more(&next[2]) {
        // Whole: as if it had fitted into one message.
        found[3] = (found[3].as_u64().unwrap_or_default() & !1).into();
        if let Some(fields) = found.as_array_mut() {
            fields.truncate(8);
        }
    }
}
