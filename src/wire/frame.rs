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

/// The length that a handshake frame's first two bytes announce, if it may be that long.  SPEC §4 (FRM-1)
pub(crate) fn handshake_len(prefix: [u8; LENGTH_PREFIX]) -> Option<usize> {
    let len = usize::from(u16::from_be_bytes(prefix));
    (1..=HANDSHAKE_MAX).contains(&len).then_some(len)
}

/// The length that a transport frame's first two bytes announce, if it may be that long.  SPEC §4 (FRM-3)
pub(crate) fn transport_len(prefix: [u8; LENGTH_PREFIX], max_frame: u16) -> Option<usize> {
    let len = usize::from(u16::from_be_bytes(prefix));
    (FRAME_MIN..=usize::from(max_frame))
        .contains(&len)
        .then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FRM-1; attacks F1, F4
    #[test]
    fn handshake_lengths() {
        for (prefix, len) in [
            ([0, 0], None),
            ([0, 1], Some(1)),
            ([2, 0], Some(512)),
            ([2, 1], None),
            ([0xff, 0xff], None),
        ] {
            assert_eq!(handshake_len(prefix), len, "{prefix:?}");
        }
    }

    /// FRM-3; attacks F1, F2, F3
    #[test]
    fn transport_lengths() {
        for (prefix, max_frame, len) in [
            ([0, 0], 256, None),
            ([0, 16], 256, None),
            ([0, 17], 256, Some(17)),
            ([1, 0], 256, Some(256)),
            ([1, 1], 256, None),
            ([0xff, 0xff], 65534, None),
            ([0xff, 0xff], 65535, Some(65535)),
        ] {
            assert_eq!(
                transport_len(prefix, max_frame),
                len,
                "{prefix:?} of {max_frame}"
            );
        }
    }
}
