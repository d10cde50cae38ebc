//! Bodies to send.

/// Bytes of which no two stretches are the same.
pub fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(4)).flat_map(next).collect();
    bytes.truncate(len);
    bytes
}
