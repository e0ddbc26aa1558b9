//! `hatchery sessions export`: everything that is kept of a session, as lines of JSON.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hatchery_protocol::Method;
use serde_json::{Value, json};

use crate::attach::{Purpose, attach};
use crate::client::Client;
use crate::failure::Failure;

/// Who may read what was exported, where it goes to a file.
const OWNER_ONLY: u32 = 0o600;

pub(super) async fn run(session: String, output: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let mut attached = attach(Purpose::Look).await?;
    let exported = match &output {
        Some(path) => to_file(&mut attached.client, &session, path).await,
        None => {
            let stdout = io::stdout();
            pages(&mut attached.client, &session, &mut stdout.lock(), |_| Failure::OutputClosed)
                .await
        }
    };
    attached.release(true).await;
    exported.map(|()| ExitCode::SUCCESS)
}

/// The file is there when it is whole, and not before.
async fn to_file(client: &mut Client, session: &str, path: &Path) -> Result<(), Failure> {
    let part = part_of(path);
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(OWNER_ONLY).open(&part);
    let mut writer = BufWriter::new(file.map_err(failed)?);
    let written = pages(client, session, &mut writer, failed).await;
    let kept = written.and_then(|()| {
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error);
        let whole = file.and_then(|file| file.sync_all()).and_then(|()| fs::rename(&part, path));
        whole.map_err(failed)
    });
    if kept.is_err()
        && let Err(error) = fs::remove_file(&part)
    {
        eprintln!("hatchery: {} is left behind: {error}", part.display());
    }
    kept
}

fn failed(source: io::Error) -> Failure {
    Failure::system("writing the export")(source)
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    name.into()
}

async fn pages(
    client: &mut Client,
    session: &str,
    writer: &mut impl Write,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<(), Failure> {
    let mut cursor = Value::Null;
    loop {
        let mut params = json!({"session": session});
        if !cursor.is_null() {
            params["cursor"] = cursor;
        }
        let mut page = client.call(Method::SessionsExport, &params).await?;
        for item in page["items"].as_array().into_iter().flatten() {
            let mut line = serde_json::to_vec(item)?;
            line.push(b'\n');
            writer.write_all(&line).map_err(&failed)?;
        }
        writer.flush().map_err(&failed)?;
        cursor = page["next"].take();
        if cursor.is_null() {
            return Ok(());
        }
    }
}
