//! SHA-256 of the beginning of a file, as a state that goes on with what follows.

use std::io::{self, ErrorKind, Read};

use sha2::{Digest as _, Sha256};

use crate::messages::Digest;

/// Reads exactly `length` bytes, with an error where there are fewer; `read` is told how many were read so far.
pub fn of_first(source: &mut impl Read, length: u64, mut read: impl FnMut(u64)) -> io::Result<Sha256> {
    let mut state = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut done = 0;
    while done < length {
        let most = usize::try_from(length - done).unwrap_or(usize::MAX).min(buffer.len());
        let len = match source.read(&mut buffer[..most]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        state.update(&buffer[..len]);
        done += len as u64;
        read(done);
    }
    Ok(state)
}

/// The digest of what the state has seen so far.
pub fn so_far(state: &Sha256) -> Digest {
    state.clone().finalize().into()
}
