//! What is measured, and how much of it.

pub mod asynchronous;
pub mod threaded;

use std::collections::BTreeMap;
use std::time::Duration;

/// The body of an echo, a request or a small publication.
pub const SMALL: usize = 64;
/// The body of a large publication.
pub const LARGE: usize = 16 * 1024;
/// How many requests are in flight at once.
pub const IN_FLIGHT: usize = 64;

/// One figure of a contestant, in the order of the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Measure {
    Connect,
    EchoMedian,
    EchoSlow,
    Requests,
    Large,
    Small,
    Memory,
    EchoCpu,
    RequestCpu,
    LargeCpu,
    SmallCpu,
}

impl Measure {
    pub const ALL: [Self; 11] = [
        Self::Connect,
        Self::EchoMedian,
        Self::EchoSlow,
        Self::Requests,
        Self::Large,
        Self::Small,
        Self::Memory,
        Self::EchoCpu,
        Self::RequestCpu,
        Self::LargeCpu,
        Self::SmallCpu,
    ];

    /// As a column of the table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Connect => "connect + echo, µs",
            Self::EchoMedian => "echo p50, µs",
            Self::EchoSlow => "echo p99, µs",
            Self::Requests => "64 in flight, req/s",
            Self::Large => "publish 16 KiB, MB/s",
            Self::Small => "publish 64 B, msg/s",
            Self::Memory => "KiB per idle connection",
            Self::EchoCpu => "echo",
            Self::RequestCpu => "request, 64 in flight",
            Self::LargeCpu => "publication of 16 KiB",
            Self::SmallCpu => "publication of 64 B",
        }
    }

    /// Whether it is processor time of both sides together, in µs for each operation.
    pub fn is_cpu(self) -> bool {
        matches!(self, Self::EchoCpu | Self::RequestCpu | Self::LargeCpu | Self::SmallCpu)
    }

    /// Whether more is better: rates, and nothing else here.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::Requests | Self::Large | Self::Small)
    }

    /// How a child names it to its parent.
    pub fn key(self) -> String {
        format!("{self:?}")
    }

    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.key() == key)
    }
}

/// What one slot has measured.
pub type Figures = BTreeMap<Measure, f64>;

/// How much a slot measures.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many connections are made, one after the other; the median counts.
    pub connections: usize,
    /// How long each kind of traffic goes on.
    pub span: Duration,
}

impl Plan {
    /// Before each kind of traffic, so that buffers have grown and windows are open.
    pub fn warm_up(self) -> Duration {
        self.span / 5
    }
}

/// So many operations in this time, at this cost.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub operations: u64,
    pub took: Duration,
    pub cpu: Duration,
}

impl Run {
    pub fn rate(self) -> f64 {
        self.operations as f64 / self.took.as_secs_f64()
    }

    /// Processor time of both sides for each operation, in µs.
    pub fn cpu_each(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.operations.max(1) as f64
    }
}

/// Adds what echoes one after the other have shown.
pub fn add_echoes(figures: &mut Figures, mut latencies: Vec<Duration>, run: Run) {
    latencies.sort_unstable();
    let at = |of_hundred: usize| micros(latencies[latencies.len() * of_hundred / 100]);
    figures.insert(Measure::EchoMedian, at(50));
    figures.insert(Measure::EchoSlow, at(99));
    figures.insert(Measure::EchoCpu, run.cpu_each());
}

pub fn add_requests(figures: &mut Figures, run: Run) {
    figures.insert(Measure::Requests, run.rate());
    figures.insert(Measure::RequestCpu, run.cpu_each());
}

/// Adds what publications of this length have shown.
pub fn add_publications(figures: &mut Figures, len: usize, run: Run) {
    if len == LARGE {
        figures.insert(Measure::Large, run.rate() * len as f64 / 1e6);
        figures.insert(Measure::LargeCpu, run.cpu_each());
    } else {
        figures.insert(Measure::Small, run.rate());
        figures.insert(Measure::SmallCpu, run.cpu_each());
    }
}

pub fn add_connections(figures: &mut Figures, mut took: Vec<Duration>) {
    took.sort_unstable();
    figures.insert(Measure::Connect, micros(took[took.len() / 2]));
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
