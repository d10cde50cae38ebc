//! A device: its keys, limits and clock, and the tables that all of its links share.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use symbolon::{
    Allow, Config, Identity, Kind, Limits, LinkId, Overflow, PeerId, Point, Provider, Router, SecretKey,
    Timeouts, TopicId, TopicLimits, Topics,
};

use crate::clock::Clock;
use crate::content::{self, Part};
use crate::ledger::Ledger;
use crate::random::Rng;

/// What a method is served with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Serve {
    /// In one message.
    Plain,
    /// With bodies in chunks, either way.
    Chunks,
}

pub struct Device {
    pub number: usize,
    secret: [u8; 32],
    limits: Limits,
    timeouts: Timeouts,
    topic_limits: TopicLimits,
    pub config: Config,
    pub clock: Clock,
    pub id: PeerId,
    /// Whom it admits.
    pub friends: BTreeSet<PeerId>,
    pub router: Router<Serve>,
    pub topics: Topics,
    pub epoch: u32,
    pub declared: Vec<(TopicId, &'static str, Kind)>,
    /// The last publication that it has of each peer's topics, to resume from.
    pub had: BTreeMap<(PeerId, String), Point>,
    /// The longest body that it publishes, and that it asks for or with.
    pub longest_news: usize,
    pub longest_body: usize,
    /// Percent of its publications that may be as long as that.
    long_news: usize,
}

/// Those that are declared at once, and those that come later.
const TOPICS: [&str; 8] = ["s/0", "s/1", "e/0", "e/1", "e/2", "e/3", "s/0/x", "late"];
/// How many there are from the beginning.
const AT_FIRST: usize = 4;
pub const FILTERS: [&str; 10] = ["s/0", "s/1", "e/0", "e/1", "e/2", "e/#", "s/+", "#", "late", "none"];

impl Device {
    pub fn new(number: usize, longest: usize, lines: bool, rng: &mut Rng) -> Self {
        let secret = std::array::from_fn(|_| rng.next() as u8);
        let (limits, timeouts, topic_limits) =
            (some_limits(rng), some_timeouts(lines, rng), some_topic_limits(rng));
        let config = configure(&secret, limits, timeouts, rng);
        let drift = rng.of(&[0, 0, 40, -40, 1_000, -20_000, 30_000]);
        let mut device = Self {
            number,
            secret,
            limits,
            timeouts,
            topic_limits,
            id: config.identity().peer_id(),
            config,
            clock: Clock::new(rng.between(0, 1 << 40), drift),
            friends: BTreeSet::new(),
            router: Router::new(),
            topics: Topics::new(0, topic_limits),
            epoch: 0,
            declared: Vec::new(),
            had: BTreeMap::new(),
            longest_news: longest,
            longest_body: longest,
            long_news: rng.of(&[3, 3, 40]),
        };
        device.start(rng);
        device
    }

    /// It has crashed, and starts again: of what it knew only its identity is left.
    pub fn reboot(&mut self, rng: &mut Rng) {
        self.config = configure(&self.secret, self.limits, self.timeouts, rng);
        self.had.clear();
        self.start(rng);
    }

    fn start(&mut self, rng: &mut Rng) {
        self.epoch = rng.next() as u32;
        self.topics = Topics::new(self.epoch, self.topic_limits);
        self.declared.clear();
        for _ in 0..AT_FIRST {
            self.declare_next(rng);
        }
        self.router = Router::new();
        self.router.on("plain", Serve::Plain).expect("a method");
        self.router.on("chunks", Serve::Chunks).expect("a method");
        self.router.on_for("denied", Allow::only([]), Serve::Plain).expect("a method");
    }

    /// How long bodies may be so that they are through after some hundred round trips.
    pub fn bearable(&self) -> usize {
        let window = if self.limits.window == 0 { usize::MAX } else { self.limits.window as usize };
        window.saturating_sub(14).min(self.limits.body_buffer).saturating_mul(100)
    }

    pub fn declare_next(&mut self, rng: &mut Rng) {
        let Some(name) = TOPICS.get(self.declared.len()) else { return };
        let kind = if name.starts_with('s') {
            Kind::State
        } else {
            let overflow =
                rng.of(&[Overflow::DropOldest, Overflow::DropOldest, Overflow::DropNewest, Overflow::Refuse]);
            Kind::Event { depth: rng.of(&[1, 2, 5, 40]), overflow }
        };
        let id = self.topics.declare(name, kind).expect("room for a topic");
        self.declared.push((id, name, kind));
    }

    /// Publishes something; whether the table took it.
    pub fn publish(&mut self, ledger: &mut Ledger, rng: &mut Rng) -> bool {
        let (id, name, _) = self.declared[rng.below(self.declared.len())];
        let most = if rng.percent(self.long_news) { self.longest_news } else { self.longest_news.min(200) };
        let (tag, len) = (rng.next() >> 8, rng.length(most));
        let Ok(point) = self.topics.publish(id, content::bytes(tag, Part::News, 0, len)) else {
            return false;
        };
        let sequence = ledger.publish(self.epoch, name, tag, len);
        assert_eq!((point.epoch, point.sequence), (self.epoch, sequence), "numbers go up by one: {name}");
        true
    }

    pub fn link(&mut self, ledger: &mut Ledger) -> LinkId {
        ledger.links += 1;
        LinkId(ledger.links)
    }

    /// What a new subscription gets first: of each topic the first number that counts, and whether nobody knows what
    /// was missed.  SPEC §14.2, §14.4
    pub fn beginnings(
        &self,
        ledger: &Ledger,
        filter: &str,
        from: Option<Point>,
    ) -> (BTreeMap<String, u64>, bool) {
        let mut unknown = from.is_some();
        let mut first = BTreeMap::new();
        for (_, name, kind) in &self.declared {
            if !symbolon::name::matches(filter, name) {
                continue;
            }
            let next =
                ledger.published.get(&(self.epoch, (*name).to_owned())).map_or(0, |all| all.len() as u64);
            let depth = match kind {
                Kind::State => 1,
                Kind::Event { depth, .. } => u64::from(*depth),
            };
            let begins = match from {
                Some(from) if from.epoch == self.epoch && from.sequence < next => {
                    unknown = false;
                    from.sequence + 1
                }
                Some(_) => next - next.min(depth),
                None if *kind == Kind::State => next.saturating_sub(1),
                None => next,
            };
            first.insert((*name).to_owned(), begins);
        }
        (first, unknown)
    }
}

fn configure(secret: &[u8; 32], limits: Limits, timeouts: Timeouts, rng: &mut Rng) -> Config {
    let identity = Identity::new(&SecretKey::from_bytes(*secret), rng.seed());
    let config = Config::new(identity).with_limits(limits).expect("limits in range");
    // A seed does the same on each processor.
    let config = config.with_provider(Provider::rust_crypto());
    config.with_timeouts(timeouts).expect("timeouts in range")
}

fn some_limits(rng: &mut Rng) -> Limits {
    let mut limits = if rng.percent(20) { Limits::small() } else { Limits::default() };
    if rng.percent(70) {
        limits.max_frame = rng.of(&[256, 300, 1_000, 4_096, 16_384]);
        limits.requests_in = rng.of(&[1, 2, 8, 64]);
        limits.requests_out = rng.of(&[1, 2, 8, 64]);
        limits.subscriptions_in = rng.of(&[1, 2, 8, 64]);
        limits.subscriptions_out = rng.of(&[1, 2, 8, 64]);
        limits.call_queue = rng.of(&[288, 400, 2_000, 100_000]);
        limits.publication_queue = rng.of(&[288, 400, 2_000, 100_000]);
        limits.window = rng.of(&[0, 15, 64, 768, 10_000, 500_000]);
        limits.body_buffer = rng.of(&[1, 100, 5_000, 60_000]);
        limits.transmit_buffer = rng.of(&[0, 1_000, 66_000]);
        limits.buffer_at_rest = rng.of(&[0, 100, 500, 20_000]);
    }
    limits
}

fn some_timeouts(lines: bool, rng: &mut Rng) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let seconds = Duration::from_secs;
    timeouts.handshake = rng.of(&[seconds(5), seconds(10)]);
    timeouts.frame = rng.of(&[seconds(5), seconds(10)]);
    timeouts.silence = Some(rng.of(&[seconds(5), seconds(12), seconds(30)]));
    // On a line somebody has to notice who has gone.  SPEC §19.4
    if !lines && rng.percent(10) {
        timeouts.silence = None;
    }
    timeouts.probe = rng.of(&[seconds(2), seconds(5)]);
    timeouts.answer = rng.of(&[Some(seconds(3)), Some(seconds(20)), None]);
    timeouts.body_idle = rng.of(&[Some(seconds(3)), Some(seconds(20)), None]);
    timeouts.close = rng.of(&[seconds(1), seconds(3)]);
    timeouts
}

fn some_topic_limits(rng: &mut Rng) -> TopicLimits {
    let mut limits = TopicLimits::default();
    if rng.percent(40) {
        limits.bytes = rng.of(&[2_000, 20_000, 200_000]);
        limits.subscriptions_per_link = rng.of(&[2, 256]);
    }
    limits
}
