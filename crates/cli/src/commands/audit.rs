//! `hatchery audit`: the journal as evidence.
//!
//! It is read from its file, with or without a gateway: what shows whether a record was touched
//! must not depend on the program that keeps the record.

use std::ops::ControlFlow;
use std::process::ExitCode;

use hatchery_store::{AuditEntry, AuditError, AuditFilter, AuditLog, Head, Verdict};
use serde_json::{Value, json};

use crate::args::{AuditCommand, WhichEntries};
use crate::environment;
use crate::exit;
use crate::failure::Failure;
use crate::render;

pub(crate) fn run(command: AuditCommand) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::List { which, limit, json } => list(which, limit, json),
        AuditCommand::Verify { head, json } => verify(head, json),
        AuditCommand::Export { which } => export(which),
    }
}

fn open() -> Result<AuditLog, Failure> {
    Ok(AuditLog::open(environment::state_directory()?.path())?)
}

fn filter(which: WhichEntries, limit: Option<u32>) -> AuditFilter {
    let since_ms = which.since.map(|since| u64::try_from(since.as_millisecond()).unwrap_or(0));
    AuditFilter { since_ms, kind: which.kind, limit }
}

fn list(which: WhichEntries, limit: u32, as_json: bool) -> Result<ExitCode, Failure> {
    let mut entries = Vec::new();
    let filter = filter(which, Some(limit));
    match open() {
        Ok(log) => log.entries(&filter, |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })?,
        Err(Failure::Audit(AuditError::None(_))) => {}
        Err(failure) => return Err(failure),
    }
    if as_json {
        render::json(&json!({"count": entries.len(), "entries": entries}));
    } else if entries.is_empty() {
        render::line("Nothing of that kind has been written yet");
    } else {
        let rows = entries.iter().map(row).collect();
        render::line(&render::table(&["ENTRY", "TIME", "WHAT", ""], rows));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let seq = entry.seq.to_string();
    vec![seq, render::moment(entry.at_ms), entry.kind.clone(), particulars(entry)]
}

/// The particulars of an entry in one line.
fn particulars(entry: &AuditEntry) -> String {
    let body = &entry.body;
    let text = |path: &str| render::text(body, path);
    let run = || entry.run.as_deref().unwrap_or_default().to_owned();
    match entry.kind.as_str() {
        "run_accepted" => {
            let (session, agent) = (text("/run/session"), text("/run/agent"));
            format!("{session} agent {agent}: {}", render::task(&body["run"]["task"]))
        }
        "run_finished" => format!("{} {}", run(), text("/outcome/status")),
        "run_announced" => format!("{} to {}", run(), text("/to")),
        "run_stopping" => format!("{} {}", run(), text("/reason")),
        "refused" => {
            format!(
                "{} for {}: {} ({})",
                text("/subject"),
                text("/caller"),
                text("/code"),
                text("/rule")
            )
        }
        "connected" => format!(
            "{} from {} by {} as {}{}",
            text("/client"),
            text("/source"),
            text("/method"),
            text("/role"),
            scopes(body)
        ),
        "folded" => folded(body),
        "pairing_changed" => {
            let device: String = text("/device").chars().take(12).collect();
            let device = if device.is_empty() { device } else { format!(" {device}") };
            let role = Some(text("/role")).filter(|role| !role.is_empty());
            let role = role.map(|role| format!(" as {role}")).unwrap_or_default();
            format!("{}{device}{role}{} by {}", text("/change"), scopes(body), text("/by"))
        }
        "approval_decided" => {
            format!("{} {} by {}", text("/decision"), text("/subject"), text("/by"))
        }
        "node_invoked" => format!(
            "{} on {} by {}: {}",
            text("/command"),
            text("/node"),
            text("/by"),
            text("/outcome")
        ),
        "gateway_started" => {
            let exemptions: Vec<&str> = strings(&body["exemptions"]).collect();
            let address = Some(text("/address")).filter(|address| !address.is_empty());
            let address = address.map_or_else(|| "no port".to_owned(), |on| format!("on {on}"));
            let without = if exemptions.is_empty() { "" } else { ", with " };
            format!("{} {address}{without}{}", text("/version"), exemptions.join(", "))
        }
        "door_changed" => format!("{} ({} connections closed)", text("/what"), body["closed"]),
        "journal_sealed" => format!("{} older entries taken into the chain", body["entries"]),
        "journal_damaged" => text("/found"),
        _ => run(),
    }
}

fn folded(body: &Value) -> String {
    let source = body["source"].as_str().unwrap_or("others");
    let refusals = body["refusals"].as_object().into_iter().flatten();
    let mut counts: Vec<String> =
        refusals.map(|(code, count)| format!("{count} × {code}")).collect();
    if body["connects"].as_u64().is_some_and(|connects| connects > 0) {
        counts.insert(0, format!("{} × connected", body["connects"]));
    }
    format!("{source}: {}", counts.join(", "))
}

fn scopes(body: &Value) -> String {
    let scopes: Vec<&str> = strings(&body["scopes"])
        .map(|scope| scope.strip_prefix("operator.").unwrap_or(scope))
        .collect();
    if scopes.is_empty() { String::new() } else { format!(" ({})", scopes.join(" ")) }
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn verify(noted: Option<Head>, as_json: bool) -> Result<ExitCode, Failure> {
    let Verdict { entries, head, older, fault } = open()?.verify(noted)?;
    if as_json {
        let fault =
            fault.as_ref().map(|fault| json!({"entry": fault.seq(), "message": fault.to_string()}));
        render::json(&json!({
            "ok": fault.is_none(), "entries": entries, "olderThanChain": older,
            "head": head.to_string(), "fault": fault,
        }));
    } else if let Some(fault) = &fault {
        eprintln!("hatchery: {fault}");
        eprintln!("  {entries} entries before it are as they were written");
    } else {
        render::line(&format!("The journal is whole: {entries} entries"));
        if older > 0 {
            render::line(&format!(
                "The first {older} are older than the chain, and whole since then"
            ));
        }
        render::line(&format!("Head: {head}"));
        render::line("Note the head elsewhere: verify --head tells later whether all was put back");
    }
    Ok(if fault.is_none() { ExitCode::SUCCESS } else { exit::FAILED })
}

fn export(which: WhichEntries) -> Result<ExitCode, Failure> {
    let mut failed = None;
    open()?.entries(&filter(which, None), |entry| match serde_json::to_string(&entry) {
        Ok(line) => {
            render::line(&line);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(ExitCode::SUCCESS), |error| Err(error.into()))
}
