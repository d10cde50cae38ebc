//! What a script says beyond a step: bytes, numbers and choices.  Where it has ended, it says 0.

/// Takes the next byte.
pub fn byte(script: &mut &[u8]) -> u8 {
    script.split_off_first().copied().unwrap_or(0)
}

/// Takes so many bytes, or as many as there are.
pub fn take<'a>(script: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = script.split_at(script.len().min(len));
    *script = rest;
    taken
}

/// A number: most often a small one, and else where forms, types and sums have their edges.
pub fn number(script: &mut &[u8]) -> u64 {
    const EDGES: [u64; 15] = [
        u8::MAX as u64,
        u8::MAX as u64 + 1,
        511,
        u16::MAX as u64,
        u16::MAX as u64 + 1,
        1 << 24,
        i32::MAX as u64,
        u32::MAX as u64 - 1,
        u32::MAX as u64,
        u32::MAX as u64 + 1,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX - 16,
        u64::MAX - 1,
        u64::MAX,
    ];
    match byte(script) {
        small @ 0..=0xef => small.into(),
        edge @ 0xf0..=0xfe => EDGES[usize::from(edge - 0xf0)],
        0xff => take(script, 8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

/// One of these.
pub fn choice<T: Copy>(script: &mut &[u8], of: &[T]) -> T {
    of[usize::from(byte(script)) % of.len()]
}

/// So many bytes, of no meaning: up to 223 by one, and longer ones by 64.
pub fn body(script: &mut &[u8]) -> Vec<u8> {
    let len = usize::from(byte(script));
    vec![0x5a; if len < 0xe0 { len } else { (len - 0xdc) * 64 }]
}
