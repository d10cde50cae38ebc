//! The adapter's commands, and its answers.

use std::time::Duration;

use serde_json::{Value, json};
use symbolon::{Admission, Config, Identity, Instant, Limits, PeerId, Provider, SecretKey, Seed, Timeouts};

use super::application::Application;
use super::link::Link;

/// What is driven: nothing before the first `open`.
#[derive(Default)]
pub struct Subject {
    link: Option<Link>,
    application: Application,
}

/// A command that cannot be carried out here, and why.
#[derive(Debug)]
pub struct Unsupported(pub String);

impl Subject {
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
            self.link = Some(open(command, now)?);
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

fn open(setup: &Value, now: Instant) -> Result<Link, Unsupported> {
    let admission = match setup["expect"] {
        Value::Null => Admission::Ask,
        ref peer => Admission::expect(PeerId::from_bytes(key(peer)?)),
    };
    let dials = setup["role"] == "initiator";
    let config = config(setup)?;
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
    // The scripts' subject offers the mandatory suite alone.
    let config = config.with_provider(Provider::default().without_aes());
    config.with_limits(limits).map_err(unsupported)?.with_timeouts(timeouts).map_err(unsupported)
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
