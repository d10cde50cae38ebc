//! The heap: a fixed part of the static memory, and how much of it is used.
//!
//! symbolon allocates what a connection needs when it begins.  When the heap is exhausted, the program says so and ends;
//! memory is never overwritten.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;

use critical_section::Mutex;
use embedded_alloc::LlffHeap;

use super::fault;

/// How many bytes there are to allocate: 6 KiB for each connection, 2 KiB for the topics, and some for the gaps between.
/// A serial line has besides the session that stands a handshake, when the other side has started anew.
pub const SIZE: usize = match (cfg!(feature = "tiny-heap"), cfg!(feature = "net")) {
    (true, _) => 3 * 1024,
    (_, true) => 21 * 1024,
    (_, false) => 12 * 1024,
};

/// How the heap has been used since reset.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Bytes that are allocated now.
    pub live: u32,
    /// The most bytes that were ever allocated at once.
    pub peak: u32,
    /// How many allocations there were, those included that grew or shrank.
    pub allocations: u32,
}

/// How the heap has been used since reset.
pub fn usage() -> Usage {
    critical_section::with(|cs| HEAP.usage.borrow(cs).get())
}

/// Gives the allocator its memory.
pub fn init() {
    // SAFETY: the memory is static, of this size, and nobody else uses it; a second call panics and changes nothing.
    unsafe { HEAP.inner.init(MEMORY.0.get() as usize, SIZE) }
}

#[global_allocator]
static HEAP: CountingHeap = CountingHeap {
    inner: LlffHeap::empty(),
    usage: Mutex::new(Cell::new(Usage { live: 0, peak: 0, allocations: 0 })),
};

#[repr(align(8))]
struct Memory(UnsafeCell<MaybeUninit<[u8; SIZE]>>);

// SAFETY: only the allocator touches it, in critical sections.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new(MaybeUninit::uninit()));

struct CountingHeap {
    inner: LlffHeap,
    usage: Mutex<Cell<Usage>>,
}

impl CountingHeap {
    fn count(&self, change: impl FnOnce(&mut Usage)) {
        critical_section::with(|cs| {
            let mut usage = self.usage.borrow(cs).get();
            change(&mut usage);
            self.usage.borrow(cs).set(usage);
        });
    }
}

// SAFETY: memory comes from and goes to `LlffHeap`, unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises of this method, which are the same.
        let memory = unsafe { self.inner.alloc(layout) };
        if memory.is_null() {
            // Nothing in this program could go on without; and a panic would not say what was the matter.
            fault::stop("memory allocation: the heap is full");
        }
        self.count(|usage| {
            usage.live += layout.size() as u32;
            usage.peak = usage.peak.max(usage.live);
            usage.allocations += 1;
        });
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { self.inner.dealloc(memory, layout) }
        self.count(|usage| usage.live -= layout.size() as u32);
    }
}
