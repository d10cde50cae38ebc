//! Shows what the camera films, as fast as it can, and has it record now and then.

use std::path::PathBuf;
use std::time::Duration;

use symbolon::tokio::{CallError, Device, Handle, SubscribeOptions};
use tokio::sync::oneshot;
use tokio::time::{self, Instant};

use crate::messages::{FRAMES, Head, Record, Recording};
use crate::orders::Orders;
use crate::{Failure, clock};

/// What kind of display this is.
pub struct Model {
    /// How long it takes to show one picture.
    pub shows_in: Duration,
    /// See [`SubscribeOptions::window`].
    window: u32,
}

/// Shows each picture at once: whatever is on its way arrives, three of the longest if need be.
pub const FAST: Model = Model { shows_in: Duration::ZERO, window: 128 * 1024 };

/// Electronic paper, for example.  Pictures that wait here grow old, each by as long as it takes to show those before it:
/// with the default of 64 KiB they are nearly two seconds old.  A window shorter than a picture lets one wait, and no
/// other begin; the camera keeps the rest back, and puts what is newer in its place.  Not shorter than need be: a
/// picture takes a round trip for each window that it is long.
pub const SLOW: Model = Model { shows_in: Duration::from_millis(200), window: 4 * 1024 };

/// How many pictures the camera is asked to keep each time.
pub const RECORDED: u32 = 10;

/// The longest picture that a display takes; a longer one counts as missed.
const LARGEST: u32 = 512 * 1024;

pub async fn run(model: &Model) -> Result<(), Failure> {
    let mut orders = Orders::new();
    let device = Device::builder(orders.identity().await?).build()?;
    let order = orders.next("watch").await?;
    let (address, rest) = order.split_once(' ').ok_or("watch whom?")?;
    let (camera, folder) = rest.split_once(' ').ok_or("keep pictures where?")?;
    let folder = PathBuf::from(folder);

    let camera = device.connect(address, camera.parse()?).await?;
    let mut options = SubscribeOptions::default();
    options.window = model.window;
    options.largest = LARGEST;
    let mut frames = camera.subscribe_raw(FRAMES, options).await?;
    println!("watches");
    // On the connection of the pictures: they do not hold up a call.
    let (over, is_over) = oneshot::channel();
    let calls = tokio::spawn(record_now_and_then(camera.clone(), is_over));

    let mut missed = 0;
    while let Some(delivery) = frames.next().await {
        let now = clock::micros();
        if delivery.missed.unknown {
            return Err("the camera does not know how many pictures were missed".into());
        }
        missed += delivery.missed.count;
        // Without one there was only something missed to tell.
        let Some(publication) = delivery.publication else { continue };
        let (head, picture) = Head::split(&publication.body).ok_or("no picture")?;
        println!("picture {} {} {missed}", head.number, now.saturating_sub(head.taken));
        missed = 0;
        let shown = Instant::now() + model.shows_in;
        tokio::fs::write(folder.join(format!("{:06}.jpg", head.number)), picture).await?;
        time::sleep_until(shown).await;
        if head.last {
            drop(over);
            calls.await??;
            camera.close().await;
            println!("done");
            return Ok(());
        }
    }
    Err(format!("the camera has gone: {:?}", frames.ended()).into())
}

/// Each second has the camera keep ten pictures, and says how long the answer took; until it is over.
async fn record_now_and_then(camera: Handle, mut is_over: oneshot::Receiver<()>) -> Result<(), CallError> {
    while time::timeout(Duration::from_millis(990), &mut is_over).await.is_err() {
        let asked = Instant::now();
        let Recording { from } = camera.call(&Record { pictures: RECORDED }).await?;
        println!("recording {from} {}", asked.elapsed().as_micros());
    }
    Ok(())
}
