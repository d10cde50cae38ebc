//! What a process hears from the house that has started it, by standard input.

use symbolon::{Identity, SecretKey, Seed};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

use crate::Failure;

pub struct Orders {
    lines: Lines<BufReader<Stdin>>,
}

impl Orders {
    pub fn new() -> Self {
        Self { lines: BufReader::new(tokio::io::stdin()).lines() }
    }

    /// Waits for the order of this name, and gives what stands behind the name.
    pub async fn next(&mut self, name: &str) -> Result<String, Failure> {
        let line = self.lines.next_line().await?.ok_or("the house has gone")?;
        let (found, rest) = line.split_once(' ').unwrap_or((&line, ""));
        if found != name {
            return Err(format!("waited for {name}, and the house said {found}").into());
        }
        Ok(rest.to_owned())
    }

    /// Who this process is.  The secret comes this way because arguments and environments can be read by others.
    pub async fn identity(&mut self) -> Result<Identity, Failure> {
        let text = self.next("secret").await?;
        if text.len() != 64 || !text.is_ascii() {
            return Err("a secret has 64 hexadecimal digits".into());
        }
        let mut secret = [0; 32];
        for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
        }
        Ok(Identity::new(&SecretKey::from_bytes(secret), Seed::random()?))
    }
}
