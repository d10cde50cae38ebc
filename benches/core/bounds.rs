//! How much of what is done bare the library may cost, whoever provides the primitives: the faster they are, the harder
//! that is to keep.  README.md shows each.

/// A handshake, of its seven operations on curves at each side.
pub const HANDSHAKE: f64 = 1.1;
/// A message that fills a frame of 16 KiB, to seal or to open, of the cipher alone.
pub const FULL_FRAME: f64 = 1.08;
/// A request and its reply, of sealing and opening their two frames.
pub const REQUEST: f64 = 3.0;
/// Publications of 64 bytes that fill a frame, of sealing and opening it.
pub const PUBLICATIONS: f64 = 2.0;
/// A body in chunks, of sealing and opening its frames, and copying it once.
pub const STREAM: f64 = 1.08;
/// A publication for 1,000 links, of sealing its frame for each.
pub const FAN_OUT: f64 = 3.0;
