//! What the factory wrote into the last page of the flash: who the device is, and whom it trusts.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `SYMB` |
//! | 1 | version, 1 |
//! | 1 | how many peers follow the key: 0 to 4 |
//! | 2 | 0 |
//! | 32 | the secret key |
//! | 32 each | the ids of the peers; the first is the one that the device dials |
//!
//! A device in the field keeps its key where only itself can read it: this flash is open to everybody with a probe.

/// Where the record is: behind the image, see memory.x.
const RECORD: usize = 0x3_F000;
const KEY_LEN: usize = 32;
const HEADER_LEN: usize = 8;
/// How many peers a record has room for.
pub const MAX_PEERS: usize = 4;
const LEN: usize = HEADER_LEN + KEY_LEN * (1 + MAX_PEERS);

/// Who the device is, and whom it trusts.
#[derive(Clone, Copy)]
pub struct Provisioning {
    /// Its secret key.
    pub secret_key: &'static [u8; 32],
    peers: &'static [[u8; 32]],
}

impl Provisioning {
    /// Reads the record; none, where there is none or it is not understood.
    pub fn read() -> Option<Self> {
        // SAFETY: there is flash at this address, all of the record lies in it, and nothing writes to it.
        let record: &'static [u8; LEN] = unsafe { &*(RECORD as *const [u8; LEN]) };
        Self::parse(record)
    }

    fn parse(record: &'static [u8; LEN]) -> Option<Self> {
        let (header, rest) = record.split_first_chunk::<HEADER_LEN>()?;
        let [b'S', b'Y', b'M', b'B', 1, count, 0, 0] = *header else { return None };
        let (secret_key, peers) = rest.split_first_chunk::<KEY_LEN>()?;
        let peers = peers.as_chunks::<KEY_LEN>().0.get(..usize::from(count))?;
        Some(Self { secret_key, peers })
    }

    /// The ids of the peers that it trusts.
    pub fn peers(&self) -> &'static [[u8; 32]] {
        self.peers
    }
}
