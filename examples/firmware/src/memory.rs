//! The memory of one connection after the other, beside the heap.
//!
//! It is static, not a part of the tasks' futures: what lies in a future may pass over the stack when the future is made.

use symbolon::embassy::Link;

use crate::calling;
use crate::server::ANSWER_LEN;

/// How many bytes pass between a transport and a connection at once.  A UART has a ring of its own for those that wait.
const TRANSPORT: usize = if cfg!(feature = "net") { 256 } else { 64 };

/// Memory for the connections of one task.
pub struct Memory {
    /// Where bytes arrive, and from where they leave.
    pub transport: [[u8; TRANSPORT]; 2],
    /// The answer that is put together.
    pub answer: [u8; ANSWER_LEN],
    /// What TCP keeps of each direction.
    #[cfg(feature = "net")]
    pub socket: [[u8; 512]; 2],
}

impl Memory {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            transport: [[0; TRANSPORT]; 2],
            answer: [0; ANSWER_LEN],
            #[cfg(feature = "net")]
            socket: [[0; 512]; 2],
        }
    }
}

/// Memory for the exchanges that a task has open with its peer.
pub type Exchanges = [u8; calling::MEMORY];

/// What a task calls its peer through.
pub fn link(exchanges: &'static mut Exchanges) -> Link {
    Link::new(exchanges, calling::EXCHANGES)
}
