//! Bytes whose memory is the application's own.

/// Text whose memory runs this when it is given back, and then panics.
pub struct Lent<F: FnMut()>(pub &'static str, pub F);

impl<F: FnMut()> AsRef<[u8]> for Lent<F> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<F: FnMut()> Drop for Lent<F> {
    fn drop(&mut self) {
        self.1();
        panic!("meant");
    }
}
