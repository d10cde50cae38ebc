//! One face for the two ends of a body in chunks, whichever adapter holds them.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use bytes::Bytes;
use symbolon::tokio::{
    BodyError, CallError, Refusal, {self},
};
use symbolon::{Allow, PeerId, Request, Status, blocking};

use super::peers::{Asked, Dropped, wait};

/// A typed request with a body, for friends only; the reply is how long it was.
#[derive(Clone, Copy, Debug, minicbor::Decode, minicbor::Encode)]
pub struct Deposit;

impl Request for Deposit {
    const METHOD: &'static str = "deposit";
    type Reply = u64;
}

/// What an end of a connection can ask with bodies.
pub trait Streams {
    fn open(&self, method: &str, head: &[u8], total: Option<Duration>) -> Result<Opened, CallError>;
    fn fetch(&self, method: &str, head: &[u8], total: Option<Duration>) -> Result<Fetched, CallError>;
    /// [`Deposit`] of these bytes.
    fn deposit(&self, body: &[u8]) -> Result<u64, CallError>;
}

pub type Opened = (Box<dyn Writer>, Box<dyn Answer>);
pub type Fetched = (Bytes, Box<dyn Reader>);

/// A reply that is waited for.
pub trait Answer: Send {
    fn wait(self: Box<Self>) -> Result<Fetched, CallError>;
}

/// The reading end.
pub trait Reader: Read + Send {
    fn chunk(&mut self) -> Result<Option<Bytes>, BodyError>;
    fn stop(self: Box<Self>, status: Status);
    fn set_idle(&self, idle: Option<Duration>);
}

/// The writing end.
pub trait Writer: Write + Send {
    fn finish(&mut self) -> Result<(), BodyError>;
    fn reset(self: Box<Self>, status: Status);
    fn set_idle(&self, idle: Option<Duration>);

    /// All of it, and the error that `std::io` wraps.
    fn put(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.write_all(bytes).map_err(|error| body_error(&error))
    }
}

/// The answer that a handler owes.
pub trait Responder: Send {
    fn send(self: Box<Self>, reply: &[u8]);
    fn start(self: Box<Self>, head: &[u8]) -> Result<Box<dyn Writer>, BodyError>;
}

/// What a handler has.
pub struct Exchange {
    pub body: Box<dyn Reader>,
    pub reply: Box<dyn Responder>,
}

pub type StreamMethod = Arc<dyn Fn(&Asked, Bytes, Exchange) -> Result<(), Refusal> + Send + Sync>;

/// The error of a body that an error of `std::io` holds.
pub fn body_error(error: &io::Error) -> BodyError {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<BodyError>());
    *source.unwrap_or_else(|| panic!("{error:?} holds none"))
}

// std

pub fn serve_std(
    builder: blocking::Builder,
    methods: Vec<(String, StreamMethod)>,
    friends: Vec<PeerId>,
) -> blocking::Builder {
    let deposit = |_: blocking::Context, Deposit, mut exchange: blocking::Exchange<u64>| {
        let bytes = io::copy(&mut exchange.body, &mut io::sink()).map_err(|error| body_error(&error))?;
        exchange.reply.send(&bytes)?;
        Ok(())
    };
    let builder = builder.on_stream_for(Allow::only(friends), deposit);
    methods.into_iter().fold(builder, |builder, (name, method)| {
        builder.on_stream_raw(
            &name,
            move |context: blocking::Context, head, exchange: blocking::RawExchange| {
                let asked = Asked {
                    peer: context.peer(),
                    time_left: context.time_left(),
                    handle: Box::new(context.handle().clone()),
                    cancelled: Box::new(move || context.is_cancelled()),
                };
                let exchange = Exchange { body: Box::new(exchange.body), reply: Box::new(exchange.reply) };
                method(&asked, head, exchange)
            },
        )
    })
}

impl Streams for blocking::Handle {
    fn open(&self, method: &str, head: &[u8], total: Option<Duration>) -> Result<Opened, CallError> {
        let (writer, reply) = self.open_raw(method, head, total)?;
        Ok((Box::new(writer), Box::new(reply)))
    }

    fn fetch(&self, method: &str, head: &[u8], total: Option<Duration>) -> Result<Fetched, CallError> {
        let (head, reader) = self.fetch_raw(method, head, total)?;
        Ok((head, Box::new(reader)))
    }

    fn deposit(&self, body: &[u8]) -> Result<u64, CallError> {
        let (mut writer, reply) = self.open(&Deposit)?;
        // Who is refused learns it from the reply.
        let _refused = writer.put(body).and_then(|()| writer.finish());
        Ok(reply.wait()?.0)
    }
}

impl Answer for blocking::RawReply {
    fn wait(self: Box<Self>) -> Result<Fetched, CallError> {
        let (head, reader) = (*self).wait()?;
        Ok((head, Box::new(reader)))
    }
}

impl Reader for blocking::BodyReader {
    fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.chunk()
    }

    fn stop(self: Box<Self>, status: Status) {
        (*self).stop(status);
    }

    fn set_idle(&self, idle: Option<Duration>) {
        self.set_idle(idle);
    }
}

impl Writer for blocking::BodyWriter {
    fn finish(&mut self) -> Result<(), BodyError> {
        self.finish()
    }

    fn reset(self: Box<Self>, status: Status) {
        (*self).reset(status);
    }

    fn set_idle(&self, idle: Option<Duration>) {
        self.set_idle(idle);
    }
}

impl Responder for blocking::RawResponder {
    fn send(self: Box<Self>, reply: &[u8]) {
        (*self).send(Bytes::copy_from_slice(reply));
    }

    fn start(self: Box<Self>, head: &[u8]) -> Result<Box<dyn Writer>, BodyError> {
        Ok(Box::new((*self).start(head)?))
    }
}

// tokio: each step waits in a thread that is none of the runtime's workers

pub fn serve_tokio(
    builder: tokio::Builder,
    methods: Vec<(String, StreamMethod)>,
    friends: Vec<PeerId>,
) -> tokio::Builder {
    let deposit = |_: tokio::Context, Deposit, mut exchange: tokio::Exchange<u64>| async move {
        let copied = ::tokio::io::copy(&mut exchange.body, &mut ::tokio::io::sink()).await;
        let bytes = copied.map_err(|error| body_error(&error))?;
        exchange.reply.send(&bytes)?;
        Ok(())
    };
    let builder = builder.on_stream_for(Allow::only(friends), deposit);
    methods.into_iter().fold(builder, |builder, (name, method)| {
        builder.on_stream_raw(&name, move |context: tokio::Context, head, exchange: tokio::RawExchange| {
            let method = method.clone();
            async move {
                let dropped = Arc::new(AtomicBool::new(false));
                let _guard = Dropped(dropped.clone());
                let asked = Asked {
                    peer: context.peer(),
                    time_left: context.time_left(),
                    handle: Box::new(context.handle().clone()),
                    cancelled: Box::new(move || dropped.load(Ordering::SeqCst)),
                };
                let exchange =
                    Exchange { body: Box::new(Ours(exchange.body)), reply: Box::new(exchange.reply) };
                let done = ::tokio::task::spawn_blocking(move || method(&asked, head, exchange)).await;
                done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
            }
        })
    })
}

/// An end of tokio's, with the traits of `std::io`.
struct Ours<T>(T);

impl Streams for tokio::Handle {
    fn open(&self, method: &str, head: &[u8], total: Option<Duration>) -> Result<Opened, CallError> {
        let (writer, reply) = wait(self.open_raw(method, head, total))?;
        Ok((Box::new(Ours(writer)), Box::new(reply)))
    }

    fn fetch(&self, method: &str, head: &[u8], total: Option<Duration>) -> Result<Fetched, CallError> {
        let (head, reader) = wait(self.fetch_raw(method, head, total))?;
        Ok((head, Box::new(Ours(reader))))
    }

    fn deposit(&self, body: &[u8]) -> Result<u64, CallError> {
        wait(async {
            let (mut writer, reply) = self.open(&Deposit).await?;
            // Who is refused learns it from the reply.
            if writer.write_all(body).await.is_ok() {
                let _refused = writer.finish();
            }
            Ok(reply.wait().await?.0)
        })
    }
}

impl Answer for tokio::RawReply {
    fn wait(self: Box<Self>) -> Result<Fetched, CallError> {
        let (head, reader) = wait((*self).wait())?;
        Ok((head, Box::new(Ours(reader))))
    }
}

impl Read for Ours<tokio::BodyReader> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        wait(self.0.read(buffer))
    }
}

impl Reader for Ours<tokio::BodyReader> {
    fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        wait(self.0.chunk())
    }

    fn stop(self: Box<Self>, status: Status) {
        self.0.stop(status);
    }

    fn set_idle(&self, idle: Option<Duration>) {
        self.0.set_idle(idle);
    }
}

impl Write for Ours<tokio::BodyWriter> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        wait(AsyncWriteExt::write(&mut self.0, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        wait(self.0.flush())
    }
}

impl Writer for Ours<tokio::BodyWriter> {
    fn finish(&mut self) -> Result<(), BodyError> {
        self.0.finish()
    }

    fn reset(self: Box<Self>, status: Status) {
        self.0.reset(status);
    }

    fn set_idle(&self, idle: Option<Duration>) {
        self.0.set_idle(idle);
    }
}

impl Responder for tokio::RawResponder {
    fn send(self: Box<Self>, reply: &[u8]) {
        (*self).send(Bytes::copy_from_slice(reply));
    }

    fn start(self: Box<Self>, head: &[u8]) -> Result<Box<dyn Writer>, BodyError> {
        Ok(Box::new(Ours(wait((*self).start(head))?)))
    }
}
