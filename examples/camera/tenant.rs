//! A process that the house starts, talks to and listens to.

use std::process::Stdio;

use symbolon::{Identity, PeerId, SecretKey, Seed};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::Failure;

/// A process, as the house sees it.
pub struct Tenant {
    pub name: &'static str,
    pub id: PeerId,
    pub process: Child,
    input: ChildStdin,
}

impl Tenant {
    /// Starts it with an identity of its own; what it says goes to `said`.
    pub async fn start(
        name: &'static str,
        said: &mpsc::Sender<(&'static str, String)>,
    ) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take().ok_or("no standard input")?;
        let mut output = BufReader::new(process.stdout.take().ok_or("no standard output")?).lines();
        let said = said.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                if said.send((name, line)).await.is_err() {
                    return;
                }
            }
            // Who does not listen any more need not know.
            let _unheard = said.send((name, GONE.into())).await;
        });
        let secret = SecretKey::random()?;
        let id = Identity::new(&secret, Seed::random()?).peer_id();
        let mut tenant = Self { name, id, process, input };
        let secret: String = secret.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        tenant.tell(&format!("secret {secret}")).await?;
        Ok(tenant)
    }

    pub async fn tell(&mut self, order: &str) -> Result<(), Failure> {
        Ok(self.input.write_all(format!("{order}\n").as_bytes()).await?)
    }
}

/// What the house is told of a process that says nothing any more.
pub const GONE: &str = "gone";
