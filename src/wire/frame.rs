//! Frames: a length of two bytes and one Noise message.  SPEC §4

/// How many bytes the length takes.  SPEC §4
pub(crate) const LENGTH_PREFIX: usize = 2;
/// The longest frame of a handshake.  SPEC §4 (FRM-1)
pub(crate) const HANDSHAKE_MAX: usize = 512;
/// How much longer a ciphertext is than its plaintext.  SPEC §4
pub(crate) const TAG: usize = 16;
/// The shortest frame after the handshake: a tag, and a plaintext that is not empty.  SPEC §4 (FRM-3)
pub(crate) const FRAME_MIN: usize = TAG + 1;
/// The smallest `max_frame` that a side may declare.  SPEC §5.2
pub(crate) const MIN_FRAME: u16 = 256;
