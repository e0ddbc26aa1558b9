//! `hatchery sessions list | show | history | attach | kill | reopen | delete`.

use std::io::{self, Write};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_protocol::{Method, WatchParams};
use serde_json::{Map, Value, json};

use super::export;
use super::follow::{Follow, Followed, Signals, Whose, exit_code};
use super::output::Output;
use super::tree::in_tree_order;
use crate::args::{AttachArgs, SessionArgs, SessionsCommand};
use crate::attach::{Purpose, attach};
use crate::exit;
use crate::failure::Failure;
use crate::render;

pub(crate) async fn run(command: SessionsCommand) -> Result<ExitCode, Failure> {
    match command {
        SessionsCommand::List { tree, limit, archived, json } => {
            list(tree, limit, archived, json).await
        }
        SessionsCommand::Show(args) => show(args).await,
        SessionsCommand::History(args) => history(args).await,
        SessionsCommand::Attach(args) => follow(args).await,
        SessionsCommand::Kill(args) => kill(args).await,
        SessionsCommand::Reopen(args) => reopen(args).await,
        SessionsCommand::Delete(args) => delete(args).await,
        SessionsCommand::Export { session, output } => export::run(session, output).await,
        // These have files of their own.
        SessionsCommand::Spawn(_) | SessionsCommand::Yield(_) => Ok(exit::FAILED),
    }
}

pub(super) async fn ask(method: Method, params: Value) -> Result<Value, Failure> {
    let mut attached = attach(Purpose::Look).await?;
    let answer = attached.client.call(method, &params).await;
    attached.release(true).await;
    answer
}

async fn list(tree: bool, limit: u32, archived: bool, as_json: bool) -> Result<ExitCode, Failure> {
    let archived = if archived { json!("all") } else { json!(false) };
    let params = json!({"limit": limit, "archived": archived});
    let answer = ask(Method::SessionsList, params).await?;
    let answer = own_words(&answer);
    if as_json {
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let sessions = answer["sessions"].as_array().map_or(&[][..], Vec::as_slice);
    let rows = if tree {
        in_tree_order(sessions).into_iter().map(|(place, session)| row(place, session)).collect()
    } else {
        sessions.iter().map(|session| row(render::text(session, "/sessionId"), session)).collect()
    };
    let head = ["SESSION ID", "TYPE", "AGENT", "STATUS", "CREATED"];
    render::line(&render::table(&head, rows));
    Ok(ExitCode::SUCCESS)
}

/// The list in our own words: what a session is for is its `kind`, and nothing in it changes
/// from one look to the next without a cause.
fn own_words(answer: &Value) -> Value {
    let sessions = answer["sessions"].as_array().into_iter().flatten();
    let mut sessions: Vec<Value> = sessions
        .map(|row| {
            let mut session = Map::new();
            for (name, field) in [
                ("sessionId", "id"),
                ("key", "key"),
                ("kind", "type"),
                ("agentId", "agentId"),
                ("parent", "parent"),
                ("label", "label"),
                ("createdAtMs", "createdAtMs"),
                ("run", "run"),
            ] {
                if !row[field].is_null() {
                    session.insert(name.to_owned(), row[field].clone());
                }
            }
            Value::Object(session)
        })
        .collect();
    // The newest first; the wire has the last used first.
    sessions.sort_by_key(|session| std::cmp::Reverse(session["createdAtMs"].as_u64()));
    json!({
        "count": answer["count"],
        "totalCount": answer["totalCount"],
        "hasMore": answer["hasMore"],
        "sessions": sessions,
    })
}

fn row(place: String, session: &Value) -> Vec<String> {
    vec![
        place,
        render::text(session, "/kind"),
        render::text(session, "/agentId"),
        status(session),
        render::moment(session["createdAtMs"].as_u64().unwrap_or_default()),
    ]
}

/// A session that was not opened for a run waits for its person.
fn status(session: &Value) -> String {
    let status = render::text(session, "/run/status");
    if status.is_empty() { "idle".to_owned() } else { status }
}

async fn show(args: SessionArgs) -> Result<ExitCode, Failure> {
    let session = ask(Method::SessionsShow, json!({"session": args.session})).await?;
    if args.json {
        render::json(&session);
        return Ok(ExitCode::SUCCESS);
    }
    let moment = |path: &str| session.pointer(path).and_then(Value::as_u64).map(render::moment);
    let mut rows = vec![
        ("session", render::text(&session, "/sessionId")),
        ("key", render::text(&session, "/key")),
        ("type", render::text(&session, "/kind")),
        ("agent", render::text(&session, "/agentId")),
        ("label", render::text(&session, "/label")),
        ("parent", render::text(&session, "/parent")),
        ("status", status(&session)),
        ("runtime", render::text(&session, "/run/runtime")),
        ("model", render::text(&session, "/run/model")),
        ("task", render::task(&session["run"]["task"])),
        ("workspace", render::text(&session, "/run/workspace")),
        ("depth", render::text(&session, "/run/depth")),
        ("created", moment("/createdAtMs").unwrap_or_default()),
        ("ended", moment("/run/outcome/endedAtMs").unwrap_or_default()),
        ("exit code", render::text(&session, "/run/outcome/exitCode")),
        ("error", render::text(&session, "/run/outcome/error")),
        ("last step", render::text(&session, "/run/outcome/lastStep")),
        ("files", files(&session["run"]["outcome"]["filesTouched"])),
        ("tokens", tokens(&session["run"]["outcome"]["usage"])),
        ("cost", cost(&session["run"]["outcome"]["costMicros"])),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    render::line(&render::rows(rows));
    Ok(ExitCode::SUCCESS)
}

/// The files a run said it touched, one in a line.
fn files(files: &Value) -> String {
    let files = files.as_array().into_iter().flatten().filter_map(Value::as_str);
    files.collect::<Vec<_>>().join("\n")
}

fn tokens(usage: &Value) -> String {
    match (usage["inputTokens"].as_u64(), usage["outputTokens"].as_u64()) {
        (Some(read), Some(written)) => format!("{read} read, {written} written"),
        _ => String::new(),
    }
}

fn cost(micros: &Value) -> String {
    micros.as_u64().map_or_else(String::new, |micros| format!("${:.4}", micros as f64 / 1e6))
}

async fn reopen(args: SessionArgs) -> Result<ExitCode, Failure> {
    let session = ask(Method::SessionsShow, json!({"session": args.session})).await?;
    let params = json!({"key": session["key"], "archived": false});
    let answer = ask(Method::SessionsPatch, params).await?;
    if args.json {
        render::json(&answer);
    } else {
        render::line(&format!("Reopened {}", render::text(&session, "/sessionId")));
    }
    Ok(ExitCode::SUCCESS)
}

async fn history(args: SessionArgs) -> Result<ExitCode, Failure> {
    let answer = ask(Method::SessionsHistory, json!({"session": args.session})).await?;
    if args.json {
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = Vec::new();
    for item in answer["items"].as_array().into_iter().flatten() {
        write_item(&mut text, item);
    }
    match io::stdout().lock().write_all(&text) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(_) => Err(Failure::OutputClosed),
    }
}

fn write_item(text: &mut Vec<u8>, item: &Value) {
    if item["kind"] == "output" {
        let exact = item["base64"].as_str().and_then(|exact| STANDARD.decode(exact).ok());
        text.extend(exact.unwrap_or_else(|| render::text(item, "/text").into_bytes()));
        return;
    }
    if text.last().is_some_and(|&last| last != b'\n') {
        text.push(b'\n');
    }
    let line = match item["kind"].as_str() {
        Some("task") => format!("> {}", render::task(&item["task"])),
        Some("announced") => {
            format!("< {} from {}", ending(&item["outcome"]), render::text(item, "/from"))
        }
        _ => format!("< {}", ending(&item["outcome"])),
    };
    text.extend(line.into_bytes());
    text.push(b'\n');
}

fn ending(outcome: &Value) -> String {
    let status = render::text(outcome, "/status");
    match outcome["error"].as_str() {
        Some(error) => format!("{status}: {error}"),
        None => status,
    }
}

async fn follow(args: AttachArgs) -> Result<ExitCode, Failure> {
    let params = WatchParams { session: args.session, after_seq: args.after };
    let view = (Output::default(), args.json, Signals::new()?);
    let mut attached = attach(Purpose::Look).await?;
    let method = Method::SessionsWatch;
    let followed = async {
        let asked = Follow::ask(&mut attached, method, &params, Whose::Anybodys, view).await?;
        asked.after(args.after).until_over().await
    };
    let followed = followed.await;
    attached.release(true).await;
    match followed? {
        Followed::Ended(result) => Ok(exit_code(&result)),
        Followed::Left => Ok(ExitCode::from(130)),
        Followed::OutputClosed => Err(Failure::OutputClosed),
    }
}

async fn delete(args: SessionArgs) -> Result<ExitCode, Failure> {
    let mut attached = attach(Purpose::Look).await?;
    let answer = async {
        // What is deleted is named in full: a beginning is looked up first.
        let session = json!({"session": args.session});
        let session = attached.client.call(Method::SessionsShow, &session).await?;
        let key = json!({"key": session["key"]});
        let answer = attached.client.call(Method::SessionsDelete, &key).await?;
        Ok::<_, Failure>((render::text(&session, "/sessionId"), answer))
    };
    let answer = answer.await;
    attached.release(true).await;
    let (session, answer) = answer?;
    if args.json {
        render::json(&answer);
    } else {
        render::line(&format!("Deleted {session}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn kill(args: SessionArgs) -> Result<ExitCode, Failure> {
    let answer = ask(Method::SessionsKill, json!({"session": args.session})).await?;
    if args.json {
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    for session in answer["stopped"].as_array().into_iter().flatten() {
        render::line(&format!("Stopped {}", session.as_str().unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}
