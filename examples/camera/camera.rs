//! Films, at its own pace: it publishes each picture and waits for nobody.

use std::path::PathBuf;
use std::time::Duration;

use symbolon::PeerId;
use symbolon::tokio::Device;
use tokio::time::{self, Instant};

use crate::messages::{FRAMES, FRAMES_KIND, Head, Record};
use crate::orders::Orders;
use crate::recorder::Recorder;
use crate::{Failure, clip, clock};

pub async fn run() -> Result<(), Failure> {
    let mut orders = Orders::new();
    let identity = orders.identity().await?;
    let displays = orders.next("trust").await?;
    let displays = displays.split_whitespace().map(str::parse).collect::<Result<Vec<PeerId>, _>>()?;

    let recorder = Recorder::default();
    let asked = recorder.clone();
    let device = Device::builder(identity)
        .trust(displays)
        .topic_raw(FRAMES, FRAMES_KIND)
        .on(move |_, Record { pictures }| {
            let recording = asked.record(pictures);
            async move { Ok(recording) }
        })
        .build()?;
    let listener = device.listen("127.0.0.1:0").await?;
    println!("port {}", listener.local_addr()?.port());
    tokio::spawn(listener.serve());

    let count = orders.next("film").await?.parse()?;
    let ticks = film(&device, count, &recorder).await?;

    let folder = PathBuf::from(orders.next("stop").await?);
    tokio::fs::write(folder.join("recording.mjpeg"), recorder.stream()).await?;
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
async fn film(device: &Device, count: u32, recorder: &Recorder) -> Result<Vec<Tick>, Failure> {
    let clip = clip::pictures(clip::CLIP)?;
    let mut body = Vec::new();
    let mut ticks = Vec::new();
    let begin = Instant::now();
    for (number, picture) in (0..count).zip(clip.into_iter().cycle()) {
        // Counted from the beginning, so that being late once makes the others no later.
        let due = begin + Duration::from_secs(1) * number / clip::RATE;
        time::sleep_until(due).await;
        let late = due.elapsed();
        recorder.take(number, picture);
        Head { number, taken: clock::micros(), last: number + 1 == count }.with(picture, &mut body);
        let before = Instant::now();
        // Of a state it would not wait either; this says so.
        device.try_publish_raw(FRAMES, &body)?;
        ticks.push(Tick { late, publishing: before.elapsed() });
    }
    Ok(ticks)
}
