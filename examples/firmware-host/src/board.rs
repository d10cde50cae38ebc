//! The board: QEMU with the firmware, as a process of its own.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use crate::{BOARD, FRIEND, Result, identity};

/// Where the firmware looks for who it is: see `src/board/provisioning.rs` there.
const RECORD: &str = "0x3f000";

/// QEMU's process, killed with the board, or when the time is up.
static QEMU: Mutex<Option<Child>> = Mutex::new(None);

/// A board that runs.
pub struct Board {
    folder: PathBuf,
    /// Where its port 7007 is reached.
    pub port: u16,
    /// Where it finds its first peer.
    pub peer: TcpListener,
}

impl Board {
    /// Starts it, and knows that it is there by its UART's socket.
    pub fn start(firmware: &Path) -> Result<Self> {
        let folder = env::temp_dir().join(format!("symbolon-board-{}", process::id()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("record"), record())?;
        // Taken by QEMU in a moment, and by nobody else in between, one hopes.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let peer = TcpListener::bind("127.0.0.1:0")?;
        let forwards = format!(
            "user,model=stellaris,hostfwd=tcp:127.0.0.1:{port}-:7007,guestfwd=tcp:10.0.2.100:9000-tcp:127.0.0.1:{}",
            peer.local_addr()?.port()
        );
        let record = folder.join("record");
        let uart = folder.join("uart");
        let child = qemu(firmware)
            .args(["-serial", "null", "-serial", &format!("unix:{},server=on,wait=off", uart.display())])
            .args(["-nic", &forwards])
            .args(["-device", &format!("loader,file={},addr={RECORD},force-raw=on", record.display())])
            .stdout(fs::File::create(folder.join("output"))?)
            .stderr(fs::File::create(folder.join("errors"))?)
            .spawn()?;
        *lock() = Some(child);
        let board = Self { folder, port, peer };
        board.uart()?;
        Ok(board)
    }

    /// The other end of its UART.  One at a time: QEMU takes the next when this one is dropped.
    pub fn uart(&self) -> Result<UnixStream> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match UnixStream::connect(self.folder.join("uart")) {
                Ok(stream) => return Ok(stream),
                Err(error) if Instant::now() > until => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Whether it still runs.
    pub fn check(&self) -> Result<()> {
        let ended = lock().as_mut().and_then(|child| child.try_wait().ok().flatten());
        match ended {
            None => Ok(()),
            Some(status) => Err(format!("the board has ended, {status}").into()),
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        kill();
        // What it had to say matters where something has failed, and is short.
        for name in ["output", "errors"] {
            print!("{}", fs::read_to_string(self.folder.join(name)).unwrap_or_default());
        }
        let _left = fs::remove_dir_all(&self.folder);
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Child>> {
    QEMU.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn kill() {
    if let Some(mut child) = lock().take() {
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

/// Ends this process, and the board, once so much time has passed.
pub fn end_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("FAILED: it has taken more than {} s", limit.as_secs());
        kill();
        process::exit(1);
    });
}

fn qemu(firmware: &Path) -> Command {
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-M", "lm3s6965evb", "-nographic", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(firmware)
        .stdin(Stdio::null());
    command
}

/// Who the board is, and whom it trusts: the first is whom it dials.
fn record() -> Vec<u8> {
    let mut record = b"SYMB\x01\x01\0\0".to_vec();
    record.extend_from_slice(&[BOARD; 32]);
    record.extend_from_slice(identity(FRIEND).peer_id().as_bytes());
    // The firmware looks at all of the space that a record may take.
    record.resize(8 + 5 * 32, 0xff);
    record
}

/// Runs firmware that is to end by itself, with status 1 and this in what it says.
pub fn dies(firmware: &Path, text: &str) -> Result<()> {
    let folder = env::temp_dir().join(format!("symbolon-board-{}", process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("record");
    fs::write(&file, record())?;
    let child = qemu(firmware)
        .args(["-serial", "null", "-serial", "null"])
        .args(["-device", &format!("loader,file={},addr={RECORD},force-raw=on", file.display())])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut output = lock().insert(child).stdout.take().ok_or("no output")?;
    // Ends with the process, or with it when the time is up.
    let mut said = String::new();
    output.read_to_string(&mut said)?;
    let mut child = lock().take().ok_or("it was killed")?;
    let status = child.wait()?;
    let _left = fs::remove_dir_all(&folder);
    if status.code() == Some(1) && said.contains(text) {
        println!("it ends with status 1: {}", said.trim());
        return Ok(());
    }
    Err(format!("ended with {status}: {said}").into())
}
