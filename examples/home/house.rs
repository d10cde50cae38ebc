//! Starts the devices as processes of their own, introduces them to each other, and watches what they do.
//!
//! The house is no hub: it hands out keys and addresses at the beginning, and hears nothing of what follows but
//! what the devices print.

use std::process::Stdio;
use std::time::Duration;

use symbolon::{Identity, PeerId, SecretKey, Seed};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time;

use crate::Failure;

const DEVICES: [&str; 4] = ["sensor", "fan", "thermostat", "display"];
/// How long the load may take to cross the threshold.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the devices may take to begin, and to leave.
const MANNERS: Duration = Duration::from_secs(15);

/// A device, as the house sees it.
struct Tenant {
    name: &'static str,
    secret: SecretKey,
    id: PeerId,
    process: Child,
    input: ChildStdin,
    output: Option<Lines<BufReader<ChildStdout>>>,
    port: u16,
}

pub async fn run() -> Result<(), Failure> {
    let mut tenants = Vec::new();
    for name in DEVICES {
        tenants.push(start(name)?);
    }
    time::timeout(MANNERS, introduce(&mut tenants)).await.map_err(|_| "the devices do not begin")??;

    let (said, mut hear) = mpsc::channel(64);
    for tenant in &mut tenants {
        if let Some(mut output) = tenant.output.take() {
            let (name, said) = (tenant.name, said.clone());
            tokio::spawn(async move {
                while let Ok(Some(line)) = output.next_line().await {
                    if said.send((name, line)).await.is_err() {
                        break;
                    }
                }
            });
        }
    }
    drop(said);

    let cooled = time::timeout(PATIENCE, watch(&mut hear)).await;
    for tenant in &mut tenants {
        // A device that has gone already is found out below.
        let _gone = tenant.input.write_all(b"stop\n").await;
    }
    let mut summary = Vec::new();
    let ended = time::timeout(MANNERS, async {
        while let Some((name, line)) = hear.recv().await {
            match line.split_once(' ') {
                Some(("summary", text)) => summary.push(format!("{name:>10} | {text}")),
                _ => print(name, &line),
            }
        }
        let mut failed = Vec::new();
        for tenant in &mut tenants {
            if !tenant.process.wait().await.is_ok_and(|status| status.success()) {
                failed.push(tenant.name);
            }
        }
        failed
    });
    let failed = ended.await.map_err(|_| "the devices do not leave")?;

    println!("\nsummary");
    for line in summary {
        println!("{line}");
    }
    if !failed.is_empty() {
        return Err(format!("failed: {}", failed.join(", ")).into());
    }
    let (published, calls) = cooled.map_err(|_| "no call reached the fan in time")??;
    println!(
        "{:>10} | saw {published} publications and {calls} call of the fan, from device to device",
        "house"
    );
    Ok(())
}

/// Starts a device with an identity of its own.
fn start(name: &'static str) -> Result<Tenant, Failure> {
    let secret = SecretKey::random()?;
    let id = Identity::new(&secret, Seed::random()?).peer_id();
    let mut process = Command::new(std::env::current_exe()?)
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let input = process.stdin.take().ok_or("no standard input")?;
    let output = process.stdout.take().map(|output| BufReader::new(output).lines());
    Ok(Tenant { name, secret, id, process, input, output, port: 0 })
}

/// Tells each device who it is, whom to let in and where the others are.
async fn introduce(tenants: &mut [Tenant]) -> Result<(), Failure> {
    let everyone: Vec<String> = tenants.iter().map(|tenant| tenant.id.to_string()).collect();
    for tenant in tenants.iter_mut() {
        let secret: String = tenant.secret.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let lines = format!("secret {secret}\ntrust {}\n", everyone.join(" "));
        tenant.input.write_all(lines.as_bytes()).await?;
    }
    for tenant in tenants.iter_mut() {
        let output = tenant.output.as_mut().ok_or("no standard output")?;
        let line = output.next_line().await?.ok_or_else(|| format!("the {} did not begin", tenant.name))?;
        tenant.port = line.strip_prefix("port ").ok_or("expected a port")?.parse()?;
        println!("{:>10} | listens on port {}, is {}", tenant.name, tenant.port, tenant.id);
    }
    let directory: String =
        tenants.iter().map(|t| format!("peer {} 127.0.0.1:{} {}\n", t.name, t.port, t.id)).collect();
    for tenant in tenants.iter_mut() {
        tenant.input.write_all(format!("{directory}go\n").as_bytes()).await?;
    }
    Ok(())
}

/// Listens until the fan was called and everyone has heard of it: how many publications the display has shown, and
/// how many calls the fan got.
async fn watch(hear: &mut mpsc::Receiver<(&'static str, String)>) -> Result<(u64, u64), Failure> {
    let (mut published, mut calls, mut calm, mut shown) = (0, 0, false, false);
    while !(calls > 0 && calm && shown) {
        let (name, line) = hear.recv().await.ok_or("all devices have gone")?;
        print(name, &line);
        published += u64::from(name == "display" && line.contains("publication"));
        calls += u64::from(name == "fan" && line.contains("switched on"));
        calm |= name == "sensor" && line.contains("the fan runs");
        shown |= name == "display" && line.contains("fan on: true");
    }
    Ok((published, calls))
}

fn print(name: &str, line: &str) {
    println!("{name:>10} | {}", line.strip_prefix("say ").unwrap_or(line));
}
