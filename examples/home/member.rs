//! What all devices of the home have in common: how a process learns who it is and whom it knows, and `about`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use symbolon::tokio::{Builder, Device, Handle, Listener};
use symbolon::{Identity, PeerId, SecretKey, Seed};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::Failure;
use crate::messages::{About, AboutMe};

/// A device of the home, with its place in it.
pub struct Member {
    pub device: Device,
    directory: HashMap<String, (SocketAddr, PeerId)>,
    input: Lines<BufReader<Stdin>>,
    served: Arc<AtomicU64>,
}

impl Member {
    /// Joins the home under this name: reads from standard input who it is and who else there is, listens, and
    /// tells its port on standard output.  `equip` adds what the device serves and publishes.
    pub async fn join(name: &'static str, equip: impl FnOnce(Builder) -> Builder) -> Result<Self, Failure> {
        let mut input = BufReader::new(tokio::io::stdin()).lines();
        // The secret comes by standard input: arguments and environments of a process can be read by others.
        let secret = SecretKey::from_bytes(from_hex(&next_line(&mut input, "secret").await?)?);
        let trusted = next_line(&mut input, "trust").await?;
        let trusted = trusted.split_whitespace().map(str::parse).collect::<Result<Vec<PeerId>, _>>()?;

        let served = Arc::new(AtomicU64::new(0));
        let count = served.clone();
        let builder = Device::builder(Identity::new(&secret, Seed::random()?)).name(name).trust(trusted);
        let builder = builder.on(move |_, About| {
            let served = count.fetch_add(1, Ordering::Relaxed) + 1;
            async move { Ok(AboutMe { name: name.into(), served }) }
        });
        let device = equip(builder).build()?;
        let listener = device.listen("127.0.0.1:0").await?;
        println!("port {}", listener.local_addr()?.port());
        tokio::spawn(welcome(listener));

        let mut directory = HashMap::new();
        loop {
            let line = input.next_line().await?.ok_or("the house has gone")?;
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["peer", name, address, id] => {
                    directory.insert(name.to_owned(), (address.parse()?, id.parse()?));
                }
                ["go"] => break,
                _ => return Err(format!("the house said {line:?}").into()),
            }
        }
        Ok(Self { device, directory, input, served })
    }

    /// Connects to another device of the home, and asks it what it is.
    pub async fn meet(&self, name: &str) -> Result<Handle, Failure> {
        let (address, id) =
            self.directory.get(name).ok_or_else(|| format!("nobody here is called {name}"))?;
        let handle = self.device.connect(address, *id).await?;
        let about = handle.call(&About).await?;
        say(&format!("met the {} ({})", about.name, id.short()));
        Ok(handle)
    }

    /// Waits until the house closes down, and takes leave of everyone.
    pub async fn stay(mut self) -> Result<(), Failure> {
        while let Some(line) = self.input.next_line().await? {
            if line == "stop" {
                break;
            }
        }
        self.device.close().await;
        println!("summary answered {} calls of `about`", self.served.load(Ordering::Relaxed));
        Ok(())
    }
}

/// Asks everyone who comes what it is: either side of a connection may call the other.
async fn welcome(mut listener: Listener) {
    while let Ok(visitor) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(about) = visitor.call(&About).await {
                say(&format!("was visited by the {}", about.name));
            }
        });
    }
}

/// Tells the people at home.
pub fn say(text: &str) {
    println!("say {text}");
}

async fn next_line(input: &mut Lines<BufReader<Stdin>>, key: &str) -> Result<String, Failure> {
    let line = input.next_line().await?.ok_or("the house has gone")?;
    let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' '));
    Ok(value.ok_or_else(|| format!("expected {key}"))?.to_owned())
}

fn from_hex(text: &str) -> Result<[u8; 32], Failure> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err("a secret has 64 hexadecimal digits".into());
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(bytes)
}
