//! Films, at its own pace: it publishes each picture and waits for nobody.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use symbolon::PeerId;
use symbolon::tokio::Device;
use tokio::time::{self, Instant};

use crate::messages::{FRAMES, FRAMES_KIND, Head, Record, Recording};
use crate::orders::Orders;
use crate::{Failure, clip, clock};

pub async fn run() -> Result<(), Failure> {
    let mut orders = Orders::new();
    let identity = orders.identity().await?;
    let displays = orders.next("trust").await?;
    let displays = displays.split_whitespace().map(str::parse).collect::<Result<Vec<PeerId>, _>>()?;

    let recorder = Arc::new(Mutex::new(Recorder::default()));
    let asked = recorder.clone();
    let device = Device::builder(identity)
        .trust(displays)
        .topic_raw(FRAMES, FRAMES_KIND)
        .on(move |_, Record { pictures }| {
            let recording = lock(&asked).record(pictures);
            async move { Ok(recording) }
        })
        .build()?;
    let listener = device.listen("127.0.0.1:0").await?;
    println!("port {}", listener.local_addr()?.port());
    tokio::spawn(listener.serve());

    let count = orders.next("film").await?.parse()?;
    let ticks = film(&device, count, &recorder).await?;

    let folder = PathBuf::from(orders.next("stop").await?);
    let kept = lock(&recorder).kept.concat();
    tokio::fs::write(folder.join("recording.mjpeg"), kept).await?;
    for Tick { late, publishing } in ticks {
        println!("tick {} {}", late.as_micros(), publishing.as_micros());
    }
    println!("done");
    Ok(())
}

/// How the camera kept its own time, with one picture.
struct Tick {
    /// How much later than it should have been.
    late: Duration,
    /// How long publishing took.
    publishing: Duration,
}

/// Publishes so many pictures of the clip, over and over.
async fn film(device: &Device, count: u32, recorder: &Mutex<Recorder>) -> Result<Vec<Tick>, Failure> {
    let clip = clip::pictures(clip::CLIP)?;
    let mut body = Vec::new();
    let mut ticks = Vec::new();
    let begin = Instant::now();
    for (number, picture) in (0..count).zip(clip.into_iter().cycle()) {
        // Counted from the beginning, so that being late once makes the others no later.
        let due = begin + Duration::from_secs(1) * number / clip::RATE;
        time::sleep_until(due).await;
        let late = due.elapsed();
        lock(recorder).take(number, picture);
        Head { number, taken: clock::micros(), last: number + 1 == count }.with(picture, &mut body);
        let before = Instant::now();
        // Of a state it would not wait either; this says so.
        device.try_publish_raw(FRAMES, &body)?;
        ticks.push(Tick { late, publishing: before.elapsed() });
    }
    Ok(ticks)
}

/// Keeps the pictures that somebody has asked for.
#[derive(Default)]
struct Recorder {
    next: u32,
    until: u32,
    kept: Vec<&'static [u8]>,
}

impl Recorder {
    fn record(&mut self, pictures: u32) -> Recording {
        self.until = self.until.max(self.next.saturating_add(pictures));
        Recording { from: self.next }
    }

    fn take(&mut self, number: u32, picture: &'static [u8]) {
        self.next = number + 1;
        if number < self.until {
            self.kept.push(picture);
        }
    }
}

fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}
