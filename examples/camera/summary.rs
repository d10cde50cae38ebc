//! What the house makes of all that was measured: what it prints, and what it complains of.
//!
//! Numbers of pictures must be exact.  Bounds of times are wide, and on medians where that tells enough, since other
//! programs may keep this machine busy; but a camera that waited for the slow display, a queue of old pictures or a call
//! behind pictures would be far outside.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::house::{self, print};
use crate::percentiles::Spread;
use crate::{Failure, clip, display};

/// What the house has heard.
#[derive(Default)]
pub struct Notes {
    pub fast: Watched,
    pub slow: Watched,
    /// How late the camera was with each picture, and how long publishing it took; all times are in microseconds.
    pub ticks: Vec<(u64, u64)>,
}

impl Notes {
    pub fn of(&mut self, display: &str) -> &mut Watched {
        if display == "slow" { &mut self.slow } else { &mut self.fast }
    }
}

/// What one display has told.
#[derive(Default)]
pub struct Watched {
    pub pictures: Vec<Seen>,
    pub calls: Vec<Call>,
}

/// A picture that a display got.
pub struct Seen {
    pub number: u32,
    /// From taken to delivered.
    pub latency: u64,
    /// What the library said was missed before it.
    pub missed: u32,
}

/// That the camera was asked to record.
pub struct Call {
    pub from: u32,
    pub after: u64,
}

/// The time between two pictures.
const PERIOD: u64 = 1_000_000 / clip::RATE as u64;

/// Says everything, and collects complaints.
#[derive(Default)]
pub struct Summary {
    complaints: Vec<String>,
}

impl Summary {
    /// That the camera waited for nobody.
    pub fn of_camera(&mut self, notes: &Notes) {
        let late: Spread = notes.ticks.iter().map(|tick| tick.0).collect();
        let publishing: Spread = notes.ticks.iter().map(|tick| tick.1).collect();
        print("camera", &format!("filmed {} pictures, each late by {late}", late.len()));
        print("camera", &format!("publishing took {publishing}"));
        self.expect(late.percentile(50) < PERIOD, "the camera is late");
        self.expect(publishing.percentile(95) < PERIOD, "publishing waits");
    }

    /// What each display got, how old it was, and how soon calls were answered meanwhile.
    pub fn of_displays(&mut self, notes: &Notes, count: u32) {
        let fast = self.of_display("fast", &notes.fast, count);
        // It watched before the first picture was taken.
        self.expect(fast.first == 0, "the fast display missed the beginning unnoticed");
        self.expect(fast.missed * 10 <= count, "the fast display missed more than a tenth");
        let joined = notes.slow.pictures.first().map_or(count, |seen| seen.number);
        let of_these = |shared: bool| {
            let pictures = notes.fast.pictures.iter().filter(move |seen| (seen.number >= joined) == shared);
            pictures.map(|seen| seen.latency).collect::<Spread>()
        };
        let (alone, shared) = (of_these(false), of_these(true));
        print("fast", &format!("alone: {alone} old"));
        print("fast", &format!("beside the slow one: {shared} old"));
        let raised = shared.percentile(50).saturating_sub(alone.percentile(50));
        self.expect(raised < PERIOD / 2, "the slow display makes pictures late for the fast one");

        let slow = self.of_display("slow", &notes.slow, count);
        self.expect(slow.first + 1 >= house::ALONE, "the slow display got old pictures");
        let shows_in = display::SLOW.shows_in.as_micros() as u64;
        self.expect(slow.latency.percentile(95) < 3 * shows_in, "the slow display gets old pictures");
        // Half of what it can show.
        let possible = u64::from(count - slow.first) * PERIOD / shows_in;
        self.expect(
            notes.slow.pictures.len() as u64 * 2 > possible,
            "the slow display gets too few pictures",
        );

        for (name, watched) in [("fast", &notes.fast), ("slow", &notes.slow)] {
            let after: Spread = watched.calls.iter().map(|call| call.after).collect();
            print(name, &format!("had it record {} times, answered after {after}", after.len()));
            self.expect(after.len() > 2, "nobody asked to record");
            self.expect(after.percentile(50) < shows_in / 2, "a call waits for pictures");
        }
    }

    fn of_display(&mut self, name: &str, watched: &Watched, count: u32) -> Totals {
        // Each gap is told as it is: what was missed are the numbers between.
        let mut next = watched.pictures.first().map_or(0, |seen| seen.number.saturating_sub(seen.missed));
        let first = next;
        for Seen { number, missed, .. } in &watched.pictures {
            self.expect(
                *number == next + missed,
                &format!("{name}: {missed} missed before picture {number}?"),
            );
            next = number + 1;
        }
        self.expect(next == count, "the last picture did not arrive");
        let missed: u32 = watched.pictures.iter().map(|seen| seen.missed).sum();
        let delivered = watched.pictures.len();
        let latency: Spread = watched.pictures.iter().map(|seen| seen.latency).collect();
        let published = count - first;
        self.expect(delivered as u32 + missed == published, "pictures are not accounted for");
        print(
            name,
            &format!("{published} published = {delivered} delivered + {missed} missed, {latency} old"),
        );
        Totals { first, missed, latency }
    }

    /// That all pictures that were kept are those of the clip, byte for byte.
    pub fn of_pictures(&mut self, notes: &Notes, folder: &Path) -> Result<(), Failure> {
        let clip = clip::pictures(clip::CLIP)?;
        let original = |number: u32| clip[number as usize % clip.len()];
        let (mut compared, mut long) = (0, 0);
        for (name, watched) in [("fast", &notes.fast), ("slow", &notes.slow)] {
            for Seen { number, .. } in &watched.pictures {
                let picture = fs::read(folder.join(name).join(format!("{number:06}.jpg")))?;
                // One whole picture, and the right one.
                let is_whole = clip::pictures(&picture)?.len() == 1 && picture == original(*number);
                self.expect(is_whole, &format!("picture {number} of the {name} display differs"));
                compared += 1;
                long += u32::from(picture.len() > FRAME);
            }
        }
        print(
            "house",
            &format!("compared {compared} pictures, {long} of them longer than a frame: all whole"),
        );
        self.expect(long > 0, "no picture is longer than a frame");

        let calls = notes.fast.calls.iter().chain(&notes.slow.calls);
        let recorded: BTreeSet<u32> =
            calls.flat_map(|call| call.from..call.from + display::RECORDED).collect();
        let recorded: Vec<&[u8]> = recorded
            .into_iter()
            .take_while(|number| (*number as usize) < notes.ticks.len())
            .map(original)
            .collect();
        let recording = fs::read(folder.join("recording.mjpeg"))?;
        print("house", &format!("the camera has recorded {} pictures", clip::pictures(&recording)?.len()));
        self.expect(recording == recorded.concat(), "the recording is not what was asked for");
        Ok(())
    }

    /// Whether all is well.
    pub fn verdict(self) -> Result<(), Failure> {
        if self.complaints.is_empty() { Ok(()) } else { Err(self.complaints.join("; ").into()) }
    }

    fn expect(&mut self, is_so: bool, complaint: &str) {
        if !is_so {
            self.complaints.push(complaint.to_owned());
        }
    }
}

/// The longest frame that a connection takes by default.  SPEC §5.2
const FRAME: usize = 16 * 1024;

/// What a display got in total.
struct Totals {
    /// The number of the first picture published after it had subscribed.
    first: u32,
    missed: u32,
    latency: Spread,
}
