//! A gateway with thousands of devices: what each connection takes of it, what a message costs it, how many may dial at
//! once, how late a publication gets to all, and how all that grows.
//!
//! `cargo bench --features tokio --bench scale` takes a minute; with `-- --write` it rewrites
//! `benches/scale/results`.  The devices are a process of their own, so that memory and time of the gateway are its alone;
//! the two meet over the loopback interface.  Wants Linux, and 8,000 files to be open in each process.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

mod child;
mod devices;
mod gateway;
mod growth;
#[path = "../../tests/common/meter.rs"]
mod meter;
mod plot;
mod process;
mod report;
mod table;

use std::env;

use child::Child;
use gateway::Gateway;
use report::{Report, thousands};

#[global_allocator]
static METER: meter::Meter = meter::Meter;

/// The argument that makes this program the devices.
const DEVICES: &str = "devices";

/// How much of everything.
struct Size {
    /// How many are connected, at each point.
    connections: &'static [usize],
    /// Of them those that have work to do, in the end.
    busy: usize,
    /// How many call at each point, and how often each.
    calls: (usize, usize),
    /// How many dial at once.
    storm: usize,
    publications: usize,
    /// Subscriptions and topics of the table.
    entries: &'static [usize],
}

impl Size {
    fn chosen() -> Self {
        // `cargo test --benches` only looks whether everything runs.
        if env::args().any(|argument| argument == "--bench") {
            Self {
                connections: &[500, 1_000, 2_000, 5_500],
                busy: 500,
                calls: (100, 100),
                storm: 1_000,
                publications: 100,
                entries: &[1_000, 4_000, 16_000, 64_000],
            }
        } else {
            Self {
                connections: &[10, 20],
                busy: 10,
                calls: (5, 5),
                storm: 30,
                publications: 5,
                entries: &[10, 20],
            }
        }
    }
}

fn main() {
    if !cfg!(target_os = "linux") {
        println!("this bench looks into /proc, which is not here");
        return;
    }
    process::open_many_files();
    let arguments: Vec<String> = env::args().collect();
    if let [_, devices, address, peer] = arguments.as_slice()
        && devices == DEVICES
    {
        return devices::run(address, peer);
    }
    let report = measure(&Size::chosen());
    print!("{}", report.markdown());
    if arguments.iter().any(|argument| argument == "--write") {
        report.write();
    }
}

fn measure(size: &Size) -> Report {
    let gateway = Gateway::new();
    let mut child = Child::new(gateway.address, gateway.peer);
    let mut report = Report::default();
    report.series.extend(growth::with_connections(&gateway, &mut child, size));
    busy(&gateway, &mut child, size, &mut report);
    storm(&gateway, &mut child, size, &mut report);
    report.series.extend(table::with_subscriptions(size.entries));
    report.series.extend(table::with_topics(size.entries));
    report
}

/// All are connected, and some of them have work to do.
fn busy(gateway: &Gateway, child: &mut Child, size: &Size, report: &mut Report) {
    let count = size.connections.last().copied().unwrap_or_default();
    let all = format!("{} idle and {} busy connections", thousands(count - size.busy), thousands(size.busy));
    let call = growth::time_of_calls(child, (size.busy, size.calls.1));
    report.fact("CPU time of the gateway for a call of 64 bytes and its reply", &all, call.per_call);
    report.fact("the call there and back, all busy ones at once: p50", &all, call.p50);
    report.fact("the same: p99", &all, call.p99);
    for (how, pause) in [("otherwise silent", None), ("each of them calling five times a second", Some(200))]
    {
        child.ask(&format!("pace {} {}", size.busy, pause.unwrap_or(0)));
        let latencies = gateway.publish_to(child, gateway::BUSY, size.busy, size.publications);
        let name = format!("publication to all {} busy ones, {how}", size.busy);
        report.fact(&format!("{name}: p50"), &all, latencies[0]);
        report.fact("the same: p99", &all, latencies[1]);
    }
    child.ask("pace 0 0");
}

/// Devices that all dial at once, on top of those that are there.
fn storm(gateway: &Gateway, child: &mut Child, size: &Size, report: &mut Report) {
    let before = gateway.connected();
    let strangers = gateway.watch_strangers();
    let told = child.ask(&format!("storm {}", size.storm));
    let most = strangers.stop();
    let [all, p50, p99, dialled, busy, dropped] = told[..] else { panic!("{told:?}") };
    gateway.wait_for(before + size.storm);
    let what = format!("{} devices dial at once", thousands(size.storm));
    report.fact("until all of them are connected", &what, all);
    report.fact("one of them, from its first attempt: p50", &what, p50);
    report.fact("the same: p99", &what, p99);
    // That none is lost the gateway was asked for.
    report.count("attempts", &what, dialled as usize);
    report.count("of them told *busy*", &what, busy as usize);
    report.count("of them dropped unanswered", &what, dropped as usize);
    report.count(
        "most sockets of strangers at once; 64 handshakes and as many who are told *busy*",
        &what,
        most,
    );
}
