//! Starts the camera and the displays as processes of their own, tells them when to begin, and hears what they measured.
//!
//! No picture passes through it: it looks at those that the displays have kept, when all is over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::fs;
use tokio::sync::mpsc;
use tokio::time;

use crate::summary::{Call, Notes, Seen, Summary};
use crate::tenant::{GONE, Tenant};
use crate::{Failure, clip, display};

/// How long the camera films, unless told otherwise.
pub const SECONDS: u32 = 9;
/// It asks to record each second, and the slow display for four seconds at least.
const LEAST: u32 = 7;
/// After how many pictures the slow display begins to watch, so that there is something to compare.
pub const ALONE: u32 = 3 * clip::RATE;
/// How long all may take beyond that.
const MANNERS: Duration = Duration::from_secs(20);

/// Films for so many seconds; the pictures are kept in this folder, or thrown away.
pub async fn run(seconds: u32, folder: Option<PathBuf>) -> Result<(), Failure> {
    let count = seconds.saturating_mul(clip::RATE);
    if seconds < LEAST {
        return Err(format!("there is little to tell of less than {LEAST} seconds").into());
    }
    let kept = folder.is_some();
    let folder = folder
        .unwrap_or_else(|| std::env::temp_dir().join(format!("symbolon-camera-{}", std::process::id())));
    for display in ["fast", "slow"] {
        fs::create_dir_all(folder.join(display)).await?;
    }
    let folder = fs::canonicalize(folder).await?;

    let outcome = tell(count, &folder).await;
    // Where something went wrong, somebody wants to see them.
    if kept || outcome.is_err() {
        print("house", &format!("the pictures are in {}", folder.display()));
    } else {
        fs::remove_dir_all(&folder).await?;
    }
    outcome
}

/// Has so many pictures filmed and watched, and tells how it went.
async fn tell(count: u32, folder: &Path) -> Result<(), Failure> {
    let deadline = Duration::from_secs(1) * count / clip::RATE + MANNERS;
    let notes = time::timeout(deadline, film(count, folder)).await.map_err(|_| "it takes too long")??;
    println!("\nsummary");
    let mut summary = Summary::default();
    summary.of_camera(&notes);
    summary.of_displays(&notes, count);
    summary.of_pictures(&notes, folder)?;
    summary.verdict()
}

/// Hears what is said and measured until all is done.
async fn film(count: u32, folder: &Path) -> Result<Notes, Failure> {
    let (said, hear) = mpsc::channel(64);
    let mut house = House { hear, said: Vec::new(), notes: Notes::default() };
    let mut camera = Tenant::start("camera", &said).await?;
    let mut fast = Tenant::start("fast", &said).await?;
    let mut slow = Tenant::start("slow", &said).await?;

    camera.tell(&format!("trust {} {}", fast.id, slow.id)).await?;
    let port = house.hear_of("camera", "port").await?;
    print("camera", &format!("listens on port {port}, is {}", camera.id));
    let id = camera.id;
    let watch = |name| format!("watch 127.0.0.1:{port} {id} {}", folder.join(name).display());

    fast.tell(&watch("fast")).await?;
    house.hear_of("fast", "watches").await?;
    print("fast", "watches, and keeps up");
    camera.tell(&format!("film {count}")).await?;
    while house.notes.fast.pictures.last().is_none_or(|seen| seen.number + 1 < ALONE) {
        house.hear_one().await?;
    }
    slow.tell(&watch("slow")).await?;
    house.hear_of("slow", "watches").await?;
    let millis = display::SLOW.shows_in.as_millis();
    print("slow", &format!("watches as well, and takes {millis} ms for each picture"));

    house.hear_of("fast", "done").await?;
    house.hear_of("slow", "done").await?;
    camera.tell(&format!("stop {}", folder.display())).await?;
    house.hear_of("camera", "done").await?;
    for tenant in [&mut camera, &mut fast, &mut slow] {
        if !tenant.process.wait().await?.success() {
            return Err(format!("{} failed", tenant.name).into());
        }
    }
    Ok(house.notes)
}

/// What the house hears.
struct House {
    hear: mpsc::Receiver<(&'static str, String)>,
    /// What was said, but for what was measured.
    said: Vec<(&'static str, String)>,
    notes: Notes,
}

impl House {
    /// Waits until a process has said this word, and gives what stands behind it.
    async fn hear_of(&mut self, name: &str, word: &str) -> Result<String, Failure> {
        loop {
            let of_it = self.said.iter().filter(|(who, _)| *who == name);
            if let Some(rest) = of_it.filter_map(|(_, line)| line.strip_prefix(word)).next() {
                return Ok(rest.trim().to_owned());
            }
            self.hear_one().await?;
        }
    }

    async fn hear_one(&mut self) -> Result<(), Failure> {
        let (name, line) = self.hear.recv().await.ok_or("all have gone")?;
        if line == GONE && !self.said.contains(&(name, "done".into())) {
            return Err(format!("{name} has gone before its time").into());
        }
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["picture", number, latency, missed] => self.notes.of(name).pictures.push(Seen {
                number: number.parse()?,
                latency: latency.parse()?,
                missed: missed.parse()?,
            }),
            ["recording", from, after] => {
                let call = Call { from: from.parse()?, after: after.parse()? };
                print(name, &format!("has it record from picture {from}: answered after {after} µs"));
                self.notes.of(name).calls.push(call);
            }
            ["tick", late, publishing] => self.notes.ticks.push((late.parse()?, publishing.parse()?)),
            _ => self.said.push((name, line)),
        }
        Ok(())
    }
}

pub fn print(name: &str, text: &str) {
    println!("{name:>6} | {text}");
}
