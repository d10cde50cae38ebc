//! The file that holds a device's secret.

use alloc::format;
use alloc::string::String;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::{Zeroize, Zeroizing};

use super::peer_id::{decode_hex, encode_hex};
use super::secret::SecretKey;

/// 64 digits and a line end.
const FILE_LEN: usize = 65;

pub(super) fn load_or_create(path: &Path) -> io::Result<SecretKey> {
    let secret = match load(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(path),
        loaded => loaded,
    };
    secret.map_err(|error| named(path, error))
}

/// What the operating system says, with the file that it says it of.
fn named(path: &Path, error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => io::Error::new(error.kind(), format!("{}: {error}", path.display())),
        // Others name it themselves, or are not about it.
        None => error,
    }
}

fn load(path: &Path) -> io::Result<SecretKey> {
    let mut file = File::open(path)?;
    // Asked of the open file: the name could mean another one by now.
    refuse_if_shared(&file, path)?;
    // One byte more than the longest form that is taken, so that a longer file shows.
    let mut buf = Zeroizing::new([0; FILE_LEN + 2]);
    let len = read_up_to(&mut file, buf.as_mut_slice())?;
    decode(&buf[..len]).ok_or_else(|| {
        let text =
            format!("{}: not an identity: expected 64 hexadecimal digits and a line end", path.display());
        io::Error::new(ErrorKind::InvalidData, text)
    })
}

/// Makes a new secret and gives it the name `path`, unless another process was faster: then that one's counts.
fn create(path: &Path) -> io::Result<SecretKey> {
    let secret = SecretKey::random().map_err(io::Error::other)?;
    let content = encode(&secret);
    let temporary = temporary_name(path)?;
    write_new(&temporary, content.as_slice())?;
    // A link never replaces a file, and when the name appears its content is whole. A rename would replace.
    let mut linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    if linked.as_ref().is_err_and(|error| error.kind() != ErrorKind::AlreadyExists) {
        // No hard links here (FAT, Android's storage). This too never replaces a file, but a crash can leave it short.
        linked = write_new(path, content.as_slice());
    }
    match linked {
        Ok(()) => {
            removed?;
            sync_folder(path)?;
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(error),
    }
}

fn decode(content: &[u8]) -> Option<SecretKey> {
    let digits = content.strip_suffix(b"\n").unwrap_or(content);
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    let mut bytes = decode_hex(digits).ok()?;
    let secret = SecretKey::from_bytes(bytes);
    bytes.zeroize();
    Some(secret)
}

fn encode(secret: &SecretKey) -> Zeroizing<[u8; FILE_LEN]> {
    let mut content = Zeroizing::new([b'\n'; FILE_LEN]);
    encode_hex(secret.as_bytes(), &mut content[..FILE_LEN - 1]);
    content
}

/// A name in the same folder that no other process takes: links do not cross file systems.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        let text = format!("{}: not the name of a file", path.display());
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    };
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push::<String>(format!(".{:016x}.tmp", u64::from_le_bytes(random)));
    Ok(path.with_file_name(temporary))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // What was made here and is of no use; the first error is the one worth telling.
        let _ = fs::remove_file(path);
    }
    written
}

fn read_up_to(file: &mut File, buf: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match file.read(&mut buf[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(unix)]
fn refuse_if_shared(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let text = format!(
        "{}: others than its owner have access to this secret (mode {:03o}); if nobody has read it, `chmod 600` it",
        path.display(),
        mode & 0o777
    );
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

#[cfg(not(unix))]
fn refuse_if_shared(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes the new name last through a power cut: a device that came back as another would be locked out by its peers.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
