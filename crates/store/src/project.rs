//! Folding entries into the tables.

use hatchery_protocol::{OutputStream, RunStatus};
use hatchery_spawn::{Event, Run};
use rusqlite::{Connection, params};
use serde_json::to_string;

use crate::audit::{self, Chain};
use crate::{Entry, conversations, deliveries, snapshots};

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
            project_event(connection, at_ms, event)?;
            conversations::project(connection, at_ms, event)
        }
        Entry::Audit(event) => {
            audit::append(connection, chain, at_ms, event.kind(), None, &json(event)?)
        }
        Entry::Snapshot(body) => snapshots::write(connection, chain, at_ms, body),
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
    let set_status = |run: &str, status: RunStatus| {
        connection
            .prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1")?
            .execute(params![run, status.as_str()])
            .map(drop)
    };
    match event {
        Event::RunAccepted { run } => accept(connection, run),
        Event::RunStarting { run } => set_status(run.as_str(), RunStatus::Starting),
        Event::RunRunning { run, process } => {
            set_status(run.as_str(), RunStatus::Running)?;
            let process = process.as_ref().map(json).transpose()?;
            connection
                .prepare_cached("UPDATE runs SET process = ?2 WHERE id = ?1")?
                .execute(params![run.as_str(), process])
                .map(drop)
        }
        Event::RunWaiting { run, .. } => set_status(run.as_str(), RunStatus::Waiting),
        Event::RunResumed { run, .. } => connection
            .prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1 AND status = ?3")?
            .execute(params![
                run.as_str(),
                RunStatus::Running.as_str(),
                RunStatus::Waiting.as_str()
            ])
            .map(drop),
        Event::RunRestarting { run } => connection
            .prepare_cached("UPDATE runs SET status = ?2, process = NULL WHERE id = ?1")?
            .execute(params![run.as_str(), RunStatus::Starting.as_str()])
            .map(drop),
        Event::RunFinished { run, outcome } => {
            set_status(run.as_str(), outcome.status)?;
            connection
                .prepare_cached("UPDATE runs SET outcome = ?2 WHERE id = ?1")?
                .execute(params![run.as_str(), json(outcome)?])
                .map(drop)
        }
        // A result stands in one inbox, however often it is told.
        Event::RunAnnounced { run, to, in_conversation, .. } => {
            let announced = connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO inbox (run, session, at_ms) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![run.as_str(), to.as_str(), at_ms])?;
            if announced == 1 && *in_conversation {
                conversations::announced(connection, at_ms, run, to)?;
            }
            Ok(())
        }
        // The result leaves the inbox nobody looks into any more.
        Event::AnnounceMoved { run, to, in_conversation } => {
            connection
                .prepare_cached("UPDATE inbox SET session = ?2, at_ms = ?3 WHERE run = ?1")?
                .execute(params![run.as_str(), to.as_str(), at_ms])?;
            if *in_conversation {
                conversations::announced(connection, at_ms, run, to)?;
            }
            Ok(())
        }
        Event::NoticeDue { .. }
        | Event::NoticeDelivered { .. }
        | Event::NoticeBlocked { .. }
        | Event::NoticeDismissed { .. } => deliveries::project(connection, at_ms, event),
        Event::RunStopping { .. }
        | Event::RunResumable { .. }
        | Event::BudgetReserved { .. }
        | Event::BudgetSettled { .. }
        | Event::SessionArchived { .. }
        | Event::SessionReopened { .. }
        | Event::Refused { .. }
        | Event::SessionOpened { .. }
        | Event::SessionPatched { .. }
        | Event::SessionReset { .. }
        | Event::SessionDeleted { .. }
        | Event::MessageAdded { .. } => Ok(()),
    }
}

/// Enters a run, and its session where it was opened for it; a turn's is there already.
fn accept(connection: &Connection, run: &Run) -> rusqlite::Result<()> {
    let accepted = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO runs (id, accepted, status) VALUES (?1, ?2, ?3)")?
        .execute(params![run.id.as_str(), accepted, RunStatus::Accepted.as_str()])?;
    if run.is_turn() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, key, kind, agent, parent, label, created_at_ms, run)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            run.session.as_str(),
            run.session_key.as_str(),
            run.kind.as_str(),
            run.agent.as_str(),
            run.requester.as_str(),
            run.label,
            run.accepted_at_ms.cast_signed(),
            run.id.as_str()
        ])
        .map(drop)
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
