//! A debugger's port, in the protocol of Android's `adb`: `adb connect HOST:PORT`, then `adb shell COMMAND` and
//! `adb exec-out COMMAND`. There is no terminal and no file transfer; files go through the file requests.

use super::{
    client::Caller,
    commands::Job,
    patient::Patient,
    reply::ApiError,
    state::{Shared, SimState},
};
use axum::{
    Json,
    extract::{Path, State},
};
use cua_grpo_gbox::wire::CommandResult;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

const CONNECT: u32 = u32::from_le_bytes(*b"CNXN");
const OPEN: u32 = u32::from_le_bytes(*b"OPEN");
const READY: u32 = u32::from_le_bytes(*b"OKAY");
const WRITE: u32 = u32::from_le_bytes(*b"WRTE");
const CLOSE: u32 = u32::from_le_bytes(*b"CLSE");
/// The version of the protocol in which all data has a sum.
const VERSION: u32 = 0x0100_0000;
/// Bytes of data that a message may have.
const LARGEST: u32 = 256 * 1024;
/// What this phone is, and that shells tell output, complaints and exit code apart.
const BANNER: &[u8] =
    b"device::ro.product.name=sim;ro.product.model=Simulated phone;ro.product.device=sim;features=shell_v2";
/// Longest silence of a connection.
const PATIENCE: Duration = Duration::from_secs(600);
/// Connections to a box at once; further ones wait until one ends.
const CONNECTIONS: usize = 16;
/// Bytes of data that wait while an answer is taken.
const WAITING: usize = 1 << 20;
/// How often it is looked whether the box still runs.
const LOOK: Duration = Duration::from_secs(1);

/// Where the boxes that somebody asked about are listening.
#[derive(Debug, Default)]
pub(super) struct Ports {
    by_box: Mutex<HashMap<String, SocketAddr>>,
}

/// `GET android/connect-address`: from now on the box listens.
pub(super) async fn address(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    state.with_running(&id, |_, _| Ok(()))?;
    let known = state
        .ports
        .by_box
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
        .copied();
    let address = match known {
        Some(address) => address,
        None => listen(&state, &id)
            .await
            .map_err(|error| ApiError::bad(format!("connect address: {error}")))?,
    };
    Ok(Json(
        json!({ "adb": format!("{}:{}", caller.host_name(), address.port()) }),
    ))
}

async fn listen(state: &Shared, id: &str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((state.config.bind.ip(), 0)).await?;
    let address = listener.local_addr()?;
    let mut ports = state.ports.by_box.lock().unwrap_or_else(PoisonError::into_inner);
    ports.insert(id.to_owned(), address);
    tokio::spawn(accept(listener, Arc::downgrade(state), id.to_owned()));
    Ok(address)
}

/// Takes connections as long as the box runs.
async fn accept(listener: TcpListener, state: Weak<SimState>, id: String) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = timeout(LOOK, async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        });
        let accepted = accepted.await;
        let Some(there) = state.upgrade() else { return };
        if !there.is_live(&id) {
            there
                .ports
                .by_box
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&id);
            return;
        }
        if let Ok((place, Ok((stream, _)))) = accepted {
            let (state, id, limit) = (state.clone(), id.clone(), there.config.limits.answer);
            // Small answers wait for acknowledgements otherwise; a socket that refuses the option still works.
            let _ = stream.set_nodelay(true);
            let stream = Patient::new(stream, limit);
            tokio::spawn(async move {
                let _place = place;
                // Whatever is wrong with a connection, it is over.
                let _ = Connection::new(stream, state, id).serve().await;
            });
        }
    }
}

#[derive(Debug)]
struct Message {
    command: u32,
    first: u32,
    second: u32,
    data: Vec<u8>,
}

struct Connection {
    stream: Patient<TcpStream>,
    state: Weak<SimState>,
    id: String,
    /// Bytes of data that the other side takes.
    largest: usize,
    /// What came while an answer was waited for.
    pending: VecDeque<Message>,
    opened: u32,
}

fn broken(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl Connection {
    fn new(stream: Patient<TcpStream>, state: Weak<SimState>, id: String) -> Self {
        Self {
            stream,
            state,
            id,
            largest: 4096,
            pending: VecDeque::new(),
            opened: 0,
        }
    }

    async fn read(&mut self) -> io::Result<Message> {
        let mut head = [0; 24];
        timeout(PATIENCE, self.stream.read_exact(&mut head)).await??;
        let word = |index: usize| {
            let four = &head[4 * index..4 * index + 4];
            u32::from_le_bytes([four[0], four[1], four[2], four[3]])
        };
        let length = word(3);
        if word(5) != !word(0) || length > LARGEST {
            return Err(broken("no message of adb"));
        }
        let mut data = vec![0; length as usize];
        timeout(PATIENCE, self.stream.read_exact(&mut data)).await??;
        Ok(Message {
            command: word(0),
            first: word(1),
            second: word(2),
            data,
        })
    }

    async fn write(&mut self, command: u32, first: u32, second: u32, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len()).map_err(|_| broken("too much data"))?;
        let sum = data.iter().fold(0_u32, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        let words = [command, first, second, length, sum, !command];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(data);
        self.stream.write_all(&bytes).await
    }

    async fn serve(mut self) -> io::Result<()> {
        loop {
            let message = match self.pending.pop_front() {
                Some(message) => message,
                None => self.read().await?,
            };
            match message.command {
                CONNECT => {
                    self.largest = (message.second.min(LARGEST) as usize).max(64);
                    self.write(CONNECT, VERSION, LARGEST, BANNER).await?;
                }
                OPEN => self.open(message.first, &message.data).await?,
                // Input for a command that has ended, or the end of one.
                WRITE => self.write(READY, message.second, message.first, &[]).await?,
                READY | CLOSE => {}
                _ => return Err(broken("a message that this phone does not know")),
            }
        }
    }

    /// Runs what a shell is asked for, and sends what it says.
    async fn open(&mut self, remote: u32, name: &[u8]) -> io::Result<()> {
        let name = String::from_utf8_lossy(name);
        let name = name.trim_end_matches('\0');
        let (service, command) = name.split_once(':').unwrap_or((name, ""));
        let mut words = service.split(',');
        let known = matches!(words.next(), Some("shell" | "exec"));
        let packed = words.any(|word| word == "v2");
        if !known || command.trim().is_empty() {
            return self.write(CLOSE, 0, remote, &[]).await;
        }
        self.opened += 1;
        let local = self.opened;
        self.write(READY, local, remote, &[]).await?;
        let result = self.run(command).await;
        let bytes = if packed {
            let exit_code = u8::try_from(result.exit_code).unwrap_or(u8::MAX);
            [
                pack(1, result.stdout.as_bytes()),
                pack(2, result.stderr.as_bytes()),
                pack(3, &[exit_code]),
            ]
            .concat()
        } else {
            [result.stdout, result.stderr].concat().into_bytes()
        };
        for part in bytes.chunks(self.largest) {
            self.write(WRITE, local, remote, part).await?;
            if !self.taken(local).await? {
                return Ok(());
            }
        }
        self.write(CLOSE, local, remote, &[]).await
    }

    /// Waits until the other side has taken what was sent; false when it wants no more.
    async fn taken(&mut self, local: u32) -> io::Result<bool> {
        loop {
            let message = self.read().await?;
            match message.command {
                READY if message.second == local => return Ok(true),
                CLOSE if message.second == local => return Ok(false),
                WRITE => self.write(READY, message.second, message.first, &[]).await?,
                _ if self.pending.len() >= 64 || self.waiting() + message.data.len() > WAITING => {
                    return Err(broken("too many messages at once"));
                }
                _ => self.pending.push_back(message),
            }
        }
    }

    /// Bytes of data of what has come and was not answered yet.
    fn waiting(&self) -> usize {
        self.pending.iter().map(|message| message.data.len()).sum()
    }

    async fn run(&self, command: &str) -> CommandResult {
        let outcome = match self.state.upgrade() {
            Some(state) => match Job::plain(command) {
                Ok(job) => job.run(&state, &self.id).await,
                Err(error) => Err(error),
            },
            None => Err(ApiError::bad("the simulator has ended")),
        };
        outcome.unwrap_or_else(|error| CommandResult {
            stderr: format!("{error}\n"),
            exit_code: 1,
            ..CommandResult::default()
        })
    }
}

/// A piece of a shell's output: which stream, how long, what.
fn pack(stream: u8, data: &[u8]) -> Vec<u8> {
    if data.is_empty() {
        return Vec::new();
    }
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&[stream], &length[..], data].concat()
}
