//! What the machine itself needs: no program can be faster than what it is made of.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::home::Home;
use crate::samples::Samples;
use crate::smallest_program;
use crate::table::{Against, Table};

const ECHOES: usize = 2_000;
const STARTS: usize = 200;
const SYNCS: usize = 500;

/// How many syncs are made between figures, and after how many of these.
const IN_A_PAUSE: usize = 20;
pub(crate) const PAUSE_AFTER: usize = 50;

/// How much is appended before each sync, in bytes.
const APPENDED: usize = 512;

/// The medians of what the machine needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floors {
    /// A byte there and back over TCP on this machine.
    pub(crate) echo: Duration,
    /// Starting a process and waiting for its end.
    pub(crate) process: Duration,
}

/// Measures the floors.
pub(crate) async fn measure(home: &Home, table: &mut Table) -> Result<Floors, Failure> {
    let none = Against::default();
    let echo = echo(table)?;
    let (process, what) = processes(home).map_err(Failure::io("the smallest program"))?;
    table.time(format!("floor: fork, exec, wait ({what})"), &process, &none);
    let sync = syncs(home)?;
    table.time(format!("floor: append {APPENDED} bytes, fdatasync"), &sync, &none);
    Ok(Floors { echo, process: process.p50() })
}

/// Measures the floor of everything that goes over TCP.
pub(crate) fn echo(table: &mut Table) -> Result<Duration, Failure> {
    let echo = echoes().map_err(Failure::io("the TCP echo"))?;
    table.time("floor: TCP echo, there and back", &echo, &Against::default());
    Ok(echo.p50())
}

fn echoes() -> std::io::Result<Samples> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    near.set_nodelay(true)?;
    let (mut far, _) = listener.accept()?;
    far.set_nodelay(true)?;
    let echo = thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).and_then(|()| far.write_all(&byte)).is_ok() {}
    });
    let mut byte = [0];
    let samples = times(ECHOES, || {
        near.write_all(&byte)?;
        near.read_exact(&mut byte)
    })?;
    drop(near);
    echo.join().map_err(|_| std::io::Error::other("the echo has panicked"))?;
    Ok(samples)
}

fn processes(home: &Home) -> std::io::Result<(Samples, &'static str)> {
    let (program, what) = smallest_program::write(home.path())?;
    let samples = times(STARTS, || {
        let mut command = Command::new(&program);
        command.env_clear().stdin(Stdio::null()).status().and_then(|status| {
            if status.success() { Ok(()) } else { Err(std::io::Error::other(status.to_string())) }
        })
    })?;
    Ok((samples, what))
}

fn syncs(home: &Home) -> Result<Samples, Failure> {
    let mut syncs = Syncs::new(home)?;
    for _ in 0..SYNCS {
        syncs.take()?;
    }
    Ok(syncs.samples())
}

/// Appends that are made durable one by one, on the disk of a home. What a disk needs changes with
/// what else it has to do, so they are made between the figures they are held against: some after
/// every few, since a sync here makes the next one of the gateway longer.
pub(crate) struct Syncs {
    file: File,
    samples: Vec<Duration>,
}

impl Syncs {
    pub(crate) fn new(home: &Home) -> Result<Self, Failure> {
        let file = tempfile::tempfile_in(home.path()).map_err(Failure::io(SYNCED))?;
        Ok(Self { file, samples: Vec::new() })
    }

    /// Makes as many appends durable as a pause between figures has.
    pub(crate) fn pause(&mut self) -> Result<(), Failure> {
        (0..IN_A_PAUSE).try_for_each(|_| self.take())
    }

    fn take(&mut self) -> Result<(), Failure> {
        let before = Instant::now();
        let appended = self.file.write_all(&[7; APPENDED]).and_then(|()| self.file.sync_data());
        appended.map_err(Failure::io(SYNCED))?;
        self.samples.push(before.elapsed());
        Ok(())
    }

    /// What the appends so far took.
    pub(crate) fn samples(self) -> Samples {
        Samples::new(self.samples)
    }
}

/// What cannot be written where a sync fails.
const SYNCED: &str = "the synced file";

fn times(
    count: usize,
    mut action: impl FnMut() -> std::io::Result<()>,
) -> std::io::Result<Samples> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let before = Instant::now();
        action()?;
        samples.push(before.elapsed());
    }
    Ok(Samples::new(samples))
}
