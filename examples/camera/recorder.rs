//! Keeps the pictures that somebody has asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::messages::Recording;

/// Shared by the camera, which takes pictures, and by those who ask.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Tape>>);

#[derive(Default)]
struct Tape {
    /// The number of the next picture.
    next: u32,
    /// From which number on nobody has asked.
    until: u32,
    kept: Vec<&'static [u8]>,
}

impl Recorder {
    /// Keeps so many pictures from the next one on; where it records already, at least until then.
    pub fn record(&self, pictures: u32) -> Recording {
        let mut tape = self.tape();
        tape.until = tape.until.max(tape.next.saturating_add(pictures));
        Recording { from: tape.next }
    }

    /// Tells of each picture that was taken.
    pub fn take(&self, number: u32, picture: &'static [u8]) {
        let mut tape = self.tape();
        tape.next = number + 1;
        if number < tape.until {
            tape.kept.push(picture);
        }
    }

    /// What was kept, as a stream that players show.
    pub fn stream(&self) -> Vec<u8> {
        self.tape().kept.concat()
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
