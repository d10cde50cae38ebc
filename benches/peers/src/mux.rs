//! What `raw` and TLS have in common: requests, answers and publications on one stream.
//!
//! A frame is its length (u32), its kind, a number and a body.  One task reads and one writes; what is sent meanwhile goes
//! out as one batch.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use crate::measure::asynchronous::Link;
use crate::stage::Tally;

/// How much may wait to be sent before a sender waits.
const ROOM: usize = 128 * 1024;
/// How much is read at once: at first, and at most.
const READ: (usize, usize) = (2 * 1024, 256 * 1024);

const LENGTH: usize = 4;
const HEAD: usize = LENGTH + 1 + 4;

const REQUEST: u8 = 0;
const ANSWER: u8 = 1;
const PUBLICATION: u8 = 2;

/// One end of a connection, cheap to clone.
#[derive(Clone)]
pub struct Mux(Arc<Shared>);

struct Shared {
    outbox: Outbox,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    last: u32,
    waiting: HashMap<u32, oneshot::Sender<Bytes>>,
}

impl Mux {
    /// Starts both tasks; what is published by the other side is counted, and its requests are echoed.
    pub fn start(
        reader: impl AsyncRead + Unpin + Send + 'static,
        writer: impl AsyncWrite + Unpin + Send + 'static,
        tally: Arc<Tally>,
    ) -> Self {
        let shared = Arc::new(Shared { outbox: Outbox::default(), calls: Mutex::default() });
        let (reading, writing) = (shared.clone(), shared.clone());
        tokio::spawn(async move {
            // However it ends: who waits learns that no answer comes.
            let _ended = reading.read(reader, &tally).await;
            reading.outbox.close();
            lock(&reading.calls).waiting.clear();
        });
        tokio::spawn(async move { writing.outbox.drain(writer).await });
        Self(shared)
    }
}

impl Link for Mux {
    async fn echo(&self, body: &Bytes) -> Result<Bytes> {
        let (tell, answer) = oneshot::channel();
        let id = {
            let mut calls = lock(&self.0.calls);
            calls.last = calls.last.wrapping_add(1);
            let id = calls.last;
            calls.waiting.insert(id, tell);
            id
        };
        self.0.outbox.push(&head(REQUEST, id, body.len()), body).await?;
        answer.await.context("the connection has ended")
    }

    async fn publish(&self, body: &Bytes) -> Result<()> {
        self.0.outbox.push(&head(PUBLICATION, 0, body.len()), body).await
    }
}

impl Shared {
    async fn read(&self, mut reader: impl AsyncRead + Unpin, tally: &Tally) -> io::Result<()> {
        let mut input = BytesMut::new();
        let mut answers = Vec::new();
        let mut room = READ.0;
        loop {
            input.reserve(room);
            let len = reader.read_buf(&mut input).await?;
            if len == 0 {
                return Ok(());
            }
            if len >= room {
                room = READ.1.min(room * 2);
            }
            let taken = self.take(&input, &mut answers, tally);
            input.advance(taken);
            self.outbox.append(&answers);
            answers.clear();
        }
    }

    /// Takes all frames that are whole; how many bytes that were.
    fn take(&self, input: &[u8], answers: &mut Vec<u8>, tally: &Tally) -> usize {
        let (mut at, mut publications) = (0, 0);
        while let Some((kind, id, body)) = frame(&input[at..]) {
            match kind {
                REQUEST => {
                    answers.extend_from_slice(&head(ANSWER, id, body.len()));
                    answers.extend_from_slice(body);
                }
                ANSWER => {
                    if let Some(waiting) = lock(&self.calls).waiting.remove(&id) {
                        // Who asked may have gone.
                        let _gone = waiting.send(Bytes::copy_from_slice(body));
                    }
                }
                _ => publications += 1,
            }
            at += HEAD + body.len();
        }
        if publications > 0 {
            tally.add_many(publications);
        }
        at
    }
}

/// The head of a publication on a stream that has nothing else.
pub fn publication(len: usize) -> [u8; HEAD] {
    head(PUBLICATION, 0, len)
}

/// Counts the publications of a stream that has nothing else.
pub async fn count(reader: impl AsyncRead + Unpin, tally: &Tally) -> io::Result<()> {
    let shared = Shared { outbox: Outbox::default(), calls: Mutex::default() };
    shared.read(reader, tally).await
}

fn head(kind: u8, id: u32, len: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..LENGTH].copy_from_slice(&(len as u32).to_le_bytes());
    head[LENGTH] = kind;
    head[LENGTH + 1..].copy_from_slice(&id.to_le_bytes());
    head
}

/// The first frame: its kind, number and body; `None` where it is not whole.
fn frame(input: &[u8]) -> Option<(u8, u32, &[u8])> {
    let (head, rest) = input.split_first_chunk::<HEAD>()?;
    let [a, b, c, d, kind, e, f, g, h] = *head;
    let body = rest.get(..u32::from_le_bytes([a, b, c, d]) as usize)?;
    Some((kind, u32::from_le_bytes([e, f, g, h]), body))
}

/// What waits to be sent.
#[derive(Default)]
pub struct Outbox {
    queue: Mutex<Vec<u8>>,
    filled: Notify,
    drained: Notify,
    closed: AtomicBool,
}

impl Outbox {
    /// Queues a message when there is room.
    pub async fn push(&self, head: &[u8], body: &[u8]) -> Result<()> {
        while !self.try_push(head, body) {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            anyhow::ensure!(!self.closed.load(Ordering::SeqCst), "the connection has ended");
            // Looked at again, as it may have drained before anybody listened.
            if self.try_push(head, body) {
                break;
            }
            drained.await;
        }
        Ok(())
    }

    fn try_push(&self, head: &[u8], body: &[u8]) -> bool {
        let mut queue = lock(&self.queue);
        if queue.len() >= ROOM {
            return false;
        }
        let was_empty = queue.is_empty();
        queue.extend_from_slice(head);
        queue.extend_from_slice(body);
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
        true
    }

    /// Queues answers, of which there are never more than requests in flight.
    fn append(&self, answers: &[u8]) {
        if !answers.is_empty() {
            lock(&self.queue).extend_from_slice(answers);
            self.filled.notify_one();
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Writes what is queued, until the stream or the connection ends.
    pub async fn drain(&self, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut batch = Vec::new();
        while !self.closed.load(Ordering::SeqCst) {
            std::mem::swap(&mut batch, &mut *lock(&self.queue));
            if batch.is_empty() {
                self.filled.notified().await;
                continue;
            }
            self.drained.notify_waiters();
            let written = async {
                writer.write_all(&batch).await?;
                writer.flush().await
            };
            if let Err(error) = written.await {
                self.close();
                return Err(error);
            }
            batch.clear();
        }
        Ok(())
    }
}

/// What a panic has left behind is whole: every change is one statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
