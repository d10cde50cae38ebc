//! The receiver's folder: what is there of a file, the part of it that grows, and the moment when it is whole.
//!
//! A part is called after the name and the digest of the whole, as `photo.jpg.0123456789abcdef.part`: so it says
//! itself what it is a part of, there is no second file to keep in step with it, and two files of one name have two
//! parts.  Nothing is believed of what it holds: it is hashed before it is gone on with, since other programs may
//! have changed it, or a power cut.
//!
//! One receiver for one folder: who writes which part is known only inside this process.  Friends are trusted with the
//! room on the disk, for which there is no quota, and with each other's parts: who offers the same file goes on with the
//! same part.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use symbolon::Status;
use symbolon::blocking::{BodyError, Refusal};

use crate::digest;
use crate::messages::{
    BAD_NAME, DISK, Digest, Found, NAMES_TAKEN, NO_ROOM, Offer, PART_CHANGED, SOURCE_CHANGED, WRONG_DIGEST,
    WRONG_LENGTH, explain,
};
use crate::names::{PART, is_fine, numbered};

/// How many files of one name there may be.
const SAME_NAME: u32 = 99;
/// When a second sender of the same file may try again.
const BUSY: Duration = Duration::from_secs(1);

/// Why a file has not come.
#[derive(Debug)]
pub enum Trouble {
    /// Another is sending the same file.
    Busy,
    /// The bytes ended before the file did.
    Cut(BodyError),
    /// The folder.
    Disk(io::Error),
    /// What the sender is told, and has to mend.
    Refused(Status),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<BodyError> for Trouble {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Status(SOURCE_CHANGED) => Self::Refused(SOURCE_CHANGED),
            error => Self::Cut(error),
        }
    }
}

/// What the sender is told.
impl From<&Trouble> for Refusal {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Busy => Self::Busy(BUSY),
            Trouble::Cut(error) => (*error).into(),
            // The last two: a quota, or the limit of a process or file system.
            Trouble::Disk(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => NO_ROOM.into(),
                _ => DISK.into(),
            },
            Trouble::Refused(status) => (*status).into(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => write!(f, "told busy: it is being sent already"),
            Self::Cut(error) => write!(f, "{error}; what has come is kept"),
            Self::Disk(error) => write!(f, "the folder: {error}; what has come is kept"),
            Self::Refused(status) => write!(f, "refused: {}", explain(*status)),
        }
    }
}

pub struct Inbox {
    folder: PathBuf,
    /// The parts that somebody is at.
    busy: Mutex<HashSet<PathBuf>>,
}

impl Inbox {
    pub fn new(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, busy: Mutex::default() })
    }

    /// Reserves what was offered for one sender, until the claim is dropped.
    pub fn claim(&self, offer: &Offer) -> Result<Claim<'_>, Trouble> {
        if !is_fine(&offer.name) {
            return Err(Trouble::Refused(BAD_NAME));
        }
        let digits: String = offer.digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let part = self.folder.join(format!("{}.{digits}{PART}", offer.name));
        if !self.busy().insert(part.clone()) {
            return Err(Trouble::Busy);
        }
        Ok(Claim { inbox: self, offer: offer.clone(), part })
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that nobody else may write meanwhile.
pub struct Claim<'a> {
    inbox: &'a Inbox,
    offer: Offer,
    part: PathBuf,
}

impl<'a> Claim<'a> {
    /// What is there of it.
    pub fn found(&self) -> Result<Found, Trouble> {
        if let Some(name) = self.whole()? {
            // Where the receiver was killed between the last two steps of `Part::keep`.
            let _left = fs::remove_file(&self.part);
            return Ok(Found::Whole(name));
        }
        let none = Found::Part { length: 0, digest: digest::so_far(&Sha256::new()) };
        let mut file = match File::open(&self.part) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(none),
            other => other?,
        };
        let length = file.metadata()?.len();
        if length > self.offer.length {
            return Ok(none);
        }
        let state = digest::of_first(&mut file, length, |_| {})?;
        Ok(Found::Part { length, digest: digest::so_far(&state) })
    }

    /// Opens the part to go on at `from`, where `before` still is the digest of what stands before; what stands
    /// behind is cut off.
    pub fn resume(self, from: u64, before: Digest) -> Result<Part<'a>, Trouble> {
        if from > self.offer.length {
            return Err(Trouble::Refused(WRONG_LENGTH));
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.part);
        let mut file = open?;
        let state = match digest::of_first(&mut file, from, |_| {}) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
            state => Some(state?),
        };
        let state = state.filter(|state| digest::so_far(state) == before);
        let state = state.ok_or(Trouble::Refused(PART_CHANGED))?;
        file.set_len(from)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(Part { claim: self, file, state, length: from })
    }

    /// The name under which all of it is there.
    fn whole(&self) -> Result<Option<String>, Trouble> {
        for name in self.names() {
            let path = self.inbox.folder.join(&name);
            let about = match fs::metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                about => about?,
            };
            if about.is_file() && about.len() == self.offer.length {
                let state = digest::of_first(&mut File::open(&path)?, about.len(), |_| {})?;
                if digest::so_far(&state) == self.offer.digest {
                    return Ok(Some(name));
                }
            }
        }
        // Said before anything is sent.
        Err(Trouble::Refused(NAMES_TAKEN))
    }

    fn names(&self) -> impl Iterator<Item = String> {
        (1..=SAME_NAME).map(|number| numbered(&self.offer.name, number))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.inbox.busy().remove(&self.part);
    }
}

/// A file on its way.  Dropped, it is kept as a part.
pub struct Part<'a> {
    claim: Claim<'a>,
    file: File,
    /// Of all that is in the file.
    state: Sha256,
    length: u64,
}

impl Part<'_> {
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes what has come, at once: if this process is killed now, it is there.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        if bytes.len() as u64 > self.claim.offer.length - self.length {
            return Err(Trouble::Refused(WRONG_LENGTH));
        }
        // Of what does not fit, a piece may: the length of the file is what counts at the next attempt.
        self.file.write_all(bytes)?;
        self.state.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The sender has said that this is all: compares, makes it safe and gives it its name, which it returns.
    pub fn keep(&mut self) -> Result<(String, Digest), Trouble> {
        let Claim { offer, part, inbox } = &self.claim;
        let digest = digest::so_far(&self.state);
        if self.length != offer.length {
            return Err(Trouble::Refused(WRONG_LENGTH));
        }
        if digest != offer.digest {
            return Err(Trouble::Refused(WRONG_DIGEST));
        }
        self.file.sync_all()?;
        // One at a time, for where `place` cannot do it in one step.
        let _alone = inbox.busy();
        for name in self.claim.names() {
            if place(part, &inbox.folder.join(&name))? {
                sync_folder(&inbox.folder)?;
                return Ok((name, digest));
            }
        }
        Err(Trouble::Refused(NAMES_TAKEN))
    }

    /// Removes what has come: the sender was wrong about it.
    pub fn discard(self) {
        let _gone = fs::remove_file(&self.claim.part);
    }
}

/// Gives the part its final name, unless that is taken; it is there all at once, or not at all.
fn place(part: &Path, target: &Path) -> io::Result<bool> {
    // A rename would replace what is there, and to look first would leave a gap; a link does neither.
    match fs::hard_link(part, target) {
        Ok(()) => {
            let _left = fs::remove_file(part);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // A file system without links, such as FAT.
        Err(_) if fs::symlink_metadata(target).is_ok() => Ok(false),
        Err(_) => fs::rename(part, target).map(|()| true),
    }
}

/// A name is safe when the folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
