//! SPEC §19: sessions on a serial line.

use crate::script::Script;

pub fn scripts() -> Vec<Script> {
    Vec::new()
}
