//! Folding entries into the tables.

use hatchery_protocol::OutputStream;
use hatchery_spawn::Event;
use rusqlite::{Connection, params};
use serde_json::to_string;

use crate::audit::{self, Chain};
use crate::{Entry, conversations, deliveries, lives, snapshots};

/// Writes one entry and what follows from it in the projections.
pub(crate) fn project(
    connection: &Connection,
    chain: &mut Chain,
    at_ms: i64,
    entry: &Entry,
) -> rusqlite::Result<()> {
    match entry {
        Entry::Event(event) => {
            let run = event.run().map(|run| run.as_str());
            audit::append(connection, chain, at_ms, event.kind(), run, &json(event)?)?;
            project_event(connection, at_ms, event)
        }
        Entry::Audit(event) => {
            audit::append(connection, chain, at_ms, event.kind(), None, &json(event)?)
        }
        Entry::Snapshot(state) => snapshots::write(connection, chain, at_ms, &json(state)?),
        Entry::Output { run, seq, stream, bytes } => connection
            .prepare_cached(
                "INSERT INTO output (run, seq, at_ms, stream, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                run.as_str(),
                seq.cast_signed(),
                at_ms,
                stream_name(*stream),
                &bytes[..]
            ])
            .map(drop),
    }
}

fn project_event(connection: &Connection, at_ms: i64, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::RunAccepted { run } => lives::accepted(connection, at_ms, run),
        Event::RunStarting { run } => lives::starting(connection, run),
        Event::RunRunning { run, process } => lives::running(connection, run, process.as_ref()),
        Event::RunWaiting { run, .. } => lives::waiting(connection, run),
        Event::RunResumed { run, .. } => lives::resumed(connection, run),
        Event::RunRestarting { run } => lives::restarting(connection, run),
        Event::RunFinished { run, outcome } => lives::finished(connection, at_ms, run, outcome),
        Event::RunAnnounced { run, to, in_conversation, .. } => {
            lives::announced(connection, at_ms, run, to, *in_conversation)
        }
        Event::AnnounceMoved { run, to, in_conversation } => {
            lives::moved(connection, at_ms, run, to, *in_conversation)
        }
        Event::NoticeDue { .. }
        | Event::NoticeDelivered { .. }
        | Event::NoticeBlocked { .. }
        | Event::NoticeDismissed { .. } => deliveries::project(connection, at_ms, event),
        Event::RunStopping { .. }
        | Event::RunResumable { .. }
        | Event::BudgetReserved { .. }
        | Event::BudgetSettled { .. }
        | Event::Refused { .. } => Ok(()),
        Event::SessionOpened { .. }
        | Event::SessionPatched { .. }
        | Event::SessionReset { .. }
        | Event::SessionDeleted { .. }
        | Event::SessionArchived { .. }
        | Event::SessionReopened { .. }
        | Event::MessageAdded { .. } => conversations::project(connection, at_ms, event),
    }
}

fn stream_name(stream: OutputStream) -> &'static str {
    match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    }
}

pub(crate) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
