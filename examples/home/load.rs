//! How busy this machine is, as its operating system says.

use std::time::Duration;
use std::{fs, io};

/// Busy and total processor time since the machine started, in the operating system's ticks.
#[derive(Clone, Copy)]
struct Ticks {
    busy: u64,
    total: u64,
}

impl Ticks {
    /// The first line of Linux's `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
    fn now() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks[..] else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "/proc/stat has an unknown form"));
        };
        let busy = user + nice + system + irq + softirq + steal;
        Ok(Self { busy, total: busy + idle + iowait })
    }
}

/// Measures for `span` how busy the machine is, in percent.
pub async fn measure(span: Duration) -> io::Result<u8> {
    match Ticks::now() {
        Ok(before) => {
            tokio::time::sleep(span).await;
            let after = Ticks::now()?;
            let total = after.total.saturating_sub(before.total).max(1);
            Ok((after.busy.saturating_sub(before.busy) * 100 / total).min(100) as u8)
        }
        // Elsewhere: the average number of programs that want to run, for each processor.
        Err(_) => {
            tokio::time::sleep(span).await;
            let uptime = tokio::process::Command::new("uptime").output().await?;
            let text = String::from_utf8_lossy(&uptime.stdout).replace(',', " ");
            let averages = text.rsplit("average").next().unwrap_or_default();
            let last_minute: Option<f64> = averages.split_whitespace().find_map(|word| word.parse().ok());
            let runnable =
                last_minute.ok_or_else(|| io::Error::other("the load of this machine cannot be read"))?;
            Ok((runnable * 100.0 / processors() as f64).clamp(0.0, 100.0) as u8)
        }
    }
}

/// How many threads it takes to keep this machine busy.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
