//! The adapter's commands, and its answers.

use std::time::Duration;

use serde_json::{Value, json};
use symbolon::{
    Admission, Config, Connection, Identity, Instant, Limits, PeerId, Provider, SecretKey, Seed, Timeouts,
};

use super::application::Application;
use super::link::Link;

/// What is driven: nothing before the first `open`.
pub struct Subject {
    provider: Provider,
    link: Option<Link>,
    application: Application,
}

/// A command that cannot be carried out here, and why.
#[derive(Debug)]
pub struct Unsupported(pub String);

impl Subject {
    /// With these ciphers, of which a setup may ask for less.
    pub fn new(provider: Provider) -> Self {
        Self { provider, link: None, application: Application::default() }
    }

    /// Carries one command out, and says what came of it.
    pub fn answer(&mut self, command: &Value) -> Value {
        if command["cmd"] == "hello" {
            let version = env!("CARGO_PKG_VERSION");
            return json!({ "name": "symbolon", "version": version, "bindings": ["stream", "line"] });
        }
        match self.carry_out(command) {
            Ok(answer) => answer,
            Err(Unsupported(why)) => json!({ "unsupported": why }),
        }
    }

    fn carry_out(&mut self, command: &Value) -> Result<Value, Unsupported> {
        let now = Instant::from_millis(number(&command["now"])?);
        let name = command["cmd"].as_str().unwrap_or_default();
        if name == "open" {
            self.application = Application::default();
            self.link = Some(open(command, self.provider, now)?);
        }
        let link = self.link.as_mut().ok_or_else(|| Unsupported("nothing is open".into()))?;
        let mut done = true;
        match name {
            "open" => {}
            "feed" => link.feed(&unhex(&command["bytes"])?),
            "eof" => link.eof(now),
            "tick" => link.tick(now),
            "do" => done = self.application.command(link.connection(), now, command)?,
            _ => return Err(Unsupported(format!("the command {name}"))),
        }
        let (out, events) = link.settle(now, &mut self.application);
        let next = link.next().map(|next| next.as_micros().div_ceil(1_000));
        let mut answer =
            json!({ "out": hex(&out), "events": events, "closed": link.is_closed(), "next": next });
        if !done {
            answer["refused"] = true.into();
        }
        Ok(answer)
    }
}

fn open(setup: &Value, provider: Provider, now: Instant) -> Result<Link, Unsupported> {
    let admission = match setup["expect"] {
        Value::Null => Admission::Ask,
        ref peer => Admission::expect(PeerId::from_bytes(key(peer)?)),
    };
    let dials = setup["role"] == "initiator";
    let config = config(setup)?;
    let config = with_suites(config, provider, &setup["suites"])?;
    if setup["binding"] == "line" {
        let keys = setup["ephemeral"].as_array().map(Vec::as_slice).unwrap_or_default();
        let seeds = keys.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Link::line(dials, config, admission, seeds))
    } else {
        Ok(Link::stream(dials, &config, admission, seed(key(&setup["ephemeral"])?)?, now))
    }
}

fn config(setup: &Value) -> Result<Config, Unsupported> {
    let unsupported = |error: symbolon::ConfigError| Unsupported(error.to_string());
    let mut limits = Limits::default();
    limits.max_frame = number(&setup["max_frame"])?;
    limits.requests_in = number(&setup["max_requests"])?;
    limits.subscriptions_in = number(&setup["max_subscriptions"])?;
    limits.window = number(&setup["window"])?;
    let timers = &setup["timers"];
    let millis = |value: &Value| number(value).map(Duration::from_millis);
    let mut timeouts = Timeouts::default();
    timeouts.handshake = millis(&timers["handshake"])?;
    timeouts.frame = millis(&timers["frame"])?;
    timeouts.probe = millis(&timers["probe"])?;
    timeouts.close = millis(&timers["close"])?;
    timeouts.body_idle = Some(millis(&timers["body"])?).filter(|idle| !idle.is_zero());
    timeouts.silence = Some(millis(&setup["silence"])?).filter(|silence| !silence.is_zero());
    // The scripts' application has no limit of its own.
    timeouts.answer = None;
    let secret = SecretKey::from_bytes(key(&setup["identity"])?);
    let config = Config::new(Identity::new(&secret, seed(key(&setup["static"])?)?));
    config.with_limits(limits).map_err(unsupported)?.with_timeouts(timeouts).map_err(unsupported)
}

/// The suites that everybody has: the first alone.
const MANDATORY: u16 = 0x0001;

/// A device that has these suites, and no other: a setup that names none means the mandatory one.
fn with_suites(config: Config, provider: Provider, asked: &Value) -> Result<Config, Unsupported> {
    let asked = if asked.is_null() { MANDATORY } else { number(asked)? };
    let provider = if asked == MANDATORY { provider.without_aes() } else { provider };
    let config = config.with_provider(provider);
    let there = offered(&config)?;
    if there == asked {
        Ok(config)
    } else {
        Err(Unsupported(format!("the suites {asked:#06x}: {provider:?} has {there:#06x} on this processor")))
    }
}

/// What it would offer, which depends on the processor.
fn offered(config: &Config) -> Result<u16, Unsupported> {
    let now = Instant::from_millis(0);
    let seed = seed(std::array::from_fn(|i| i as u8))?;
    let mut dialled = Connection::initiator(config, Admission::Ask, seed, now);
    let suites = dialled.poll_transmit(now).and_then(|offer| offer.get(6..8)?.try_into().ok());
    suites.map(u16::from_be_bytes).ok_or_else(|| Unsupported("a device that offers nothing".into()))
}

pub fn seed(bytes: [u8; 32]) -> Result<Seed, Unsupported> {
    Seed::new(bytes).map_err(|error| Unsupported(error.to_string()))
}

/// A number within the range of its field.
pub fn number<T: TryFrom<u64>>(value: &Value) -> Result<T, Unsupported> {
    let number = match value {
        Value::Null => Some(0),
        Value::Object(_) => value["uint"].as_str().and_then(|digits| digits.parse().ok()),
        _ => value.as_u64(),
    };
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Unsupported(format!("the number {value}")))
}

fn key(value: &Value) -> Result<[u8; 32], Unsupported> {
    unhex(value)?.try_into().map_err(|_| Unsupported(format!("the key {value}")))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(value: &Value) -> Result<Vec<u8>, Unsupported> {
    let digits = value.as_str().unwrap_or_default().as_bytes();
    let byte = |pair: &[u8]| {
        let text = str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.ok_or_else(|| Unsupported(format!("the bytes {value}")))
}
