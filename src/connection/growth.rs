//! How buffers grow: in few steps, and never beyond what they can need.

use alloc::vec::Vec;

/// Makes room for `more` bytes in a buffer that never needs more than `most`: by doubling, since a buffer that grew for
/// each message would be moved for each, but not beyond the bound, so that the bound can be counted with.
pub(crate) fn make_room(bytes: &mut Vec<u8>, more: usize, most: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let wanted = (2 * bytes.capacity()).min(most).max(needed);
        bytes.reserve_exact(wanted - bytes.len());
    }
}
