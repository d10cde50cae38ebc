//! The threads of handlers: they come as they are needed, up to a limit, and go when they are not.

use std::boxed::Box;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::PeerId;
use crate::adapter::host::link::lock;

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(10);

pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Where jobs come from: a connection, which keeps them itself, so that it can give up those that nobody waits for.
pub(super) trait Source: Send + Sync + 'static {
    /// The next job, and whether more wait behind it.
    fn next_job(self: &Arc<Self>) -> Option<(Job, bool)>;

    /// No thread can be made: all that wait are told.
    fn turn_away(&self);
}

/// The threads, and who waits for one.
///
/// One peer has at most half of them, however many connections it makes and leaves: handlers that nobody waits for
/// any more run on, and would otherwise leave no thread to others.
pub(super) struct Pool<S>(Arc<Inner<S>>);

struct Inner<S> {
    queue: Mutex<Queue<S>>,
    work: Condvar,
    most: usize,
    /// How many of them one peer may have.
    share: usize,
}

struct Queue<S> {
    /// Each source once, so that those with few jobs do not wait for those with many.
    waiting: VecDeque<(PeerId, Arc<S>)>,
    /// How many threads work for a peer.
    at_work: HashMap<PeerId, usize>,
    threads: usize,
    idle: usize,
}

impl<S: Source> Pool<S> {
    /// With at most so many threads; at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let queue = Queue { waiting: VecDeque::new(), at_work: HashMap::new(), threads: 0, idle: 0 };
        let share = (most / 2).max(1);
        Self(Arc::new(Inner { queue: Mutex::new(queue), work: Condvar::new(), most, share }))
    }

    /// Takes jobs from this source as soon as threads are free for them.  It must not be waiting already.
    pub(super) fn run(&self, peer: PeerId, source: Arc<S>) {
        let mut queue = lock(&self.0.queue);
        queue.waiting.push_back((peer, source));
        self.0.staff(queue);
    }
}

impl<S: Source> Inner<S> {
    /// Sees to it that a thread comes for the first who may have one; that one does the same for the rest.
    fn staff(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue<S>>) {
        if queue.first(self.share).is_none() {
            return;
        }
        if queue.idle > 0 {
            drop(queue);
            self.work.notify_one();
            return;
        }
        if queue.threads >= self.most {
            return;
        }
        queue.threads += 1;
        drop(queue);
        let inner = self.clone();
        let spawned = thread::Builder::new().name("symbolon-handler".to_string()).spawn(move || inner.work());
        if spawned.is_err() {
            let mut queue = lock(&self.queue);
            queue.threads -= 1;
            // Otherwise one of the others gets to it.
            let lost = if queue.threads == 0 { mem::take(&mut queue.waiting) } else { VecDeque::new() };
            drop(queue);
            lost.iter().for_each(|(_, source)| source.turn_away());
        }
    }

    fn work(self: &Arc<Self>) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some((peer, source)) = queue.take(self.share) {
                drop(queue);
                let job = source.next_job();
                queue = lock(&self.queue);
                if let Some((_, true)) = job {
                    queue.waiting.push_back((peer, source));
                }
                self.staff(queue);
                if let Some((job, _)) = job {
                    // What a handler leaves behind by a panic is its own; its caller is answered as the job is
                    // dropped.
                    let _panicked = catch_unwind(AssertUnwindSafe(job));
                }
                queue = lock(&self.queue);
                queue.leave(peer);
                continue;
            }
            queue.idle += 1;
            let waited = self.work.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = waited.0;
            queue.idle -= 1;
            if waited.1.timed_out() && queue.first(self.share).is_none() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

impl<S> Queue<S> {
    /// The place of the first whose peer has less than its share.
    fn first(&self, share: usize) -> Option<usize> {
        self.waiting
            .iter()
            .position(|(peer, _)| self.at_work.get(peer).is_none_or(|threads| *threads < share))
    }

    fn take(&mut self, share: usize) -> Option<(PeerId, Arc<S>)> {
        let taken = self.waiting.remove(self.first(share)?)?;
        *self.at_work.entry(taken.0).or_default() += 1;
        Some(taken)
    }

    /// A thread has done its work for this peer.
    fn leave(&mut self, peer: PeerId) {
        if let Some(threads) = self.at_work.get_mut(&peer) {
            *threads -= 1;
            if *threads == 0 {
                self.at_work.remove(&peer);
            }
        }
    }
}

impl<S> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("most", &self.0.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::vec::Vec;

    use super::*;
    use crate::Identity;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Jobs that a test has made.
    #[derive(Default)]
    struct Jobs(Mutex<VecDeque<Job>>);

    impl Source for Jobs {
        fn next_job(self: &Arc<Self>) -> Option<(Job, bool)> {
            let mut jobs = lock(&self.0);
            let job = jobs.pop_front()?;
            Some((job, !jobs.is_empty()))
        }

        fn turn_away(&self) {
            lock(&self.0).clear();
        }
    }

    fn jobs(jobs: impl Iterator<Item = Job>) -> Arc<Jobs> {
        Arc::new(Jobs(Mutex::new(jobs.collect())))
    }

    fn peer() -> PeerId {
        Identity::generate().expect("randomness").peer_id()
    }

    #[test]
    fn more_jobs_than_threads_wait_and_all_are_done() {
        let pool = Pool::new(4);
        let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (begun, begins) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = lock(&gate);
        let job = |number: usize| -> Job {
            let (begun, gate, at_work, most) = (begun.clone(), gate.clone(), at_work.clone(), most.clone());
            Box::new(move || {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                begun.send(number).expect("the test waits");
                drop(lock(&gate));
                at_work.fetch_sub(1, Ordering::SeqCst);
                assert!(!number.is_multiple_of(3), "meant: a panic costs no thread");
            })
        };
        for five in 0..2 {
            pool.run(peer(), jobs((0..5).map(|number| job(five * 5 + number))));
        }
        let mut numbers: Vec<_> =
            (0..4).map(|_| begins.recv_timeout(PATIENCE).expect("four begin")).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 5, 6], "two of each");
        drop(closed);
        for _ in 4..10 {
            begins.recv_timeout(PATIENCE).expect("the rest follow");
        }
        assert_eq!(most.load(Ordering::SeqCst), 4);
        assert_eq!(lock(&pool.0.queue).threads, 4);
    }

    /// A peer that has taken its share, by however many connections, waits for its own; others do not.
    #[test]
    fn one_peer_leaves_threads_to_others() {
        let pool = Pool::new(4);
        let (begun, begins) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = lock(&gate);
        let job = |name: &'static str| -> Job {
            let (begun, gate) = (begun.clone(), gate.clone());
            Box::new(move || {
                begun.send(name).expect("the test waits");
                drop(lock(&gate));
            })
        };
        let greedy = peer();
        for _ in 0..3 {
            pool.run(greedy, jobs((0..2).map(|_| job("greedy"))));
        }
        for _ in 0..2 {
            assert_eq!(begins.recv_timeout(PATIENCE), Ok("greedy"));
        }
        pool.run(peer(), jobs((0..1).map(|_| job("modest"))));
        assert_eq!(begins.recv_timeout(PATIENCE), Ok("modest"));
        drop(closed);
        for _ in 2..6 {
            assert_eq!(begins.recv_timeout(PATIENCE), Ok("greedy"));
        }
    }
}
