//! `hatchery gateway logs`: the log file, also while no gateway runs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::environment;
use crate::failure::Failure;
use crate::render;

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(tail: usize, follow: bool) -> Result<ExitCode, Failure> {
    let path = environment::state_directory()?.log();
    let Some(mut log) = open(&path, follow)? else {
        render::line("Nothing has been logged yet");
        return Ok(ExitCode::SUCCESS);
    };
    print_last(&mut log, tail).map_err(Failure::system("reading the log"))?;
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        print_new(&mut log).map_err(Failure::system("reading the log"))?;
        thread::sleep(LOOK_EVERY);
        if moved_on(&path, &log)? {
            print_new(&mut log).map_err(Failure::system("reading the log"))?;
            log = open(&path, true)?.unwrap_or(log);
        }
    }
}

/// Opens the log; where there is none yet, waits for it or gives nothing.
fn open(path: &Path, wait: bool) -> Result<Option<BufReader<File>>, Failure> {
    loop {
        match File::open(path) {
            Ok(file) => return Ok(Some(BufReader::new(file))),
            Err(error) if error.kind() == ErrorKind::NotFound && wait => thread::sleep(LOOK_EVERY),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::system("opening the log")(error)),
        }
    }
}

fn print_last(log: &mut BufReader<File>, count: usize) -> io::Result<()> {
    let mut last = VecDeque::new();
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        if last.len() == count {
            last.pop_front();
        }
        if count > 0 {
            last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        line.clear();
    }
    last.iter().for_each(|line| render::line(line));
    Ok(())
}

fn print_new(log: &mut BufReader<File>) -> io::Result<()> {
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        render::line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

/// Whether the path leads to another file by now: the log has reached its limit.
fn moved_on(path: &Path, log: &BufReader<File>) -> Result<bool, Failure> {
    let ours = log.get_ref().metadata().map_err(Failure::system("reading the log"))?;
    Ok(path.metadata().is_ok_and(|theirs| theirs.ino() != ours.ino()))
}
