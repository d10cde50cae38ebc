//! How what the gateway takes grows with its connections.

use std::time::Duration;

use crate::child::Child;
use crate::gateway::{ALL, Gateway};
use crate::{Size, process};

/// Something that was measured for more and more of something.
pub struct Series {
    pub name: String,
    /// Of what there was more and more.
    pub of: &'static str,
    pub unit: Unit,
    /// How many there were, and what it took then.
    pub points: Vec<(f64, f64)>,
}

#[derive(Clone, Copy)]
pub enum Unit {
    Bytes,
    Seconds,
}

impl Series {
    pub fn new(name: &str, of: &'static str, unit: Unit) -> Self {
        Self { name: name.into(), of, unit, points: Vec::new() }
    }

    /// Of the line through the points where both axes are logarithmic: 1 is linear growth, 0 none.
    pub fn slope(&self) -> f64 {
        let logs: Vec<(f64, f64)> = self.points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
        let count = logs.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|log| log.0), mean(|log| log.1));
        let covariance: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
        covariance / logs.iter().map(|log| (log.0 - x).powi(2)).sum::<f64>()
    }
}

/// Connects more and more devices; each has subscribed to one topic.
pub fn with_connections(gateway: &Gateway, child: &mut Child, size: &Size) -> Vec<Series> {
    let of = "connections";
    let mut memory = Series::new("memory of the gateway's process, all of them together", of, Unit::Bytes);
    let mut call = Series::new("CPU time of the gateway for a call and its reply", of, Unit::Seconds);
    let mut publishing = Series::new("CPU time of the gateway for a publication to all", of, Unit::Seconds);
    let mut latency = Series::new("until a publication is with all but 1 %", of, Unit::Seconds);
    let before = process::resident();
    for count in size.connections.iter().copied() {
        child.ask(&format!("connect {}", count - gateway.connected()));
        gateway.wait_for(count);
        if gateway.connected() == size.connections[0] {
            child.ask(&format!("subscribe {}", size.busy));
        }
        let x = count as f64;
        memory.points.push((x, (process::resident() - before) as f64));
        let calls = time_of_calls(child, size.calls);
        call.points.push((x, calls.per_call));
        let times = size.publications.min(20);
        let begun = process::cpu_time();
        gateway.publish(ALL, times, Duration::from_millis(100));
        let late = child.ask(&format!("latencies {}", count * times));
        publishing.points.push((x, (process::cpu_time() - begun).as_secs_f64() / times as f64));
        latency.points.push((x, late[1]));
    }
    vec![memory, call, publishing, latency]
}

pub struct Calls {
    /// CPU time of this process, in seconds.
    pub per_call: f64,
    pub p50: f64,
    pub p99: f64,
}

/// So many devices call so often, at once.
pub fn time_of_calls(child: &mut Child, (callers, times): (usize, usize)) -> Calls {
    child.ask(&format!("calls {callers} 5"));
    let begun = process::cpu_time();
    let told = child.ask(&format!("calls {callers} {times}"));
    let per_call = (process::cpu_time() - begun).as_secs_f64() / (callers * times) as f64;
    Calls { per_call, p50: told[0], p99: told[1] }
}
