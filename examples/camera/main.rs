//! Live video: a camera, and two displays of which one is slow, each a process of its own.
//!
//! ```text
//!             camera/frames                                       camera/frames
//!   fast ◄────────────────────  camera, 25 pictures each second  ────────────────────►  slow
//!        ────────────────────►                                  ◄────────────────────
//!             camera/record                                       camera/record
//! ```
//!
//! The camera publishes each picture, a JPEG, and waits for nobody.  The topic is a state: the latest counts, so that the
//! slow display, which takes 200 ms for each, gets fewer pictures and never old ones.  Pictures longer than a frame of
//! the wire go in parts (SPEC §14.5), and calls pass between them.  What came is kept on disk, and compared with what was
//! filmed.  Run it, for as many seconds as you like, and with a folder that keeps the pictures:
//!
//! ```text
//! cargo run --features tokio --example camera
//! cargo run --features tokio --example camera -- 60 /tmp/pictures
//! ```

mod camera;
mod clip;
mod clock;
mod display;
mod house;
mod messages;
mod orders;
mod percentiles;
mod recorder;
mod summary;
mod tenant;

use std::error::Error;
use std::process::ExitCode;

/// What any part of the example may fail with.
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        Some("camera") => camera::run().await,
        Some("fast") => display::run(&display::FAST).await,
        Some("slow") => display::run(&display::SLOW).await,
        None => house::run(house::SECONDS, None).await,
        Some(seconds) => match seconds.parse() {
            Ok(seconds) => house::run(seconds, arguments.next().map(Into::into)).await,
            Err(_) => Err("usage: camera [SECONDS [FOLDER]]".into()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("camera: {failure}");
            ExitCode::FAILURE
        }
    }
}
