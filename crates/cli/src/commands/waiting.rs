//! `hatchery sessions yield`: wait, inside a run, for results of its sub-agents.

use std::io::{self, Write};
use std::process::ExitCode;

use hatchery_protocol::Method;
use serde_json::{Value, json};

use super::whole_seconds;
use crate::args::YieldArgs;
use crate::attach::{Purpose, attach};
use crate::failure::Failure;
use crate::render;

pub(crate) async fn run(args: YieldArgs) -> Result<ExitCode, Failure> {
    let mut params = json!({});
    if let Some(count) = args.count {
        params["count"] = json!(count);
    }
    if let Some(timeout) = args.timeout {
        params["timeoutSeconds"] = json!(whole_seconds(timeout));
    }
    let mut attached = attach(Purpose::Look).await?;
    let answer = attached.client.call(Method::SessionsYield, &params).await;
    attached.release(true).await;
    let answer = answer?;
    if args.json {
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let results = answer["results"].as_array().map_or(&[][..], Vec::as_slice);
    if results.is_empty() {
        eprintln!("hatchery: no results came in time; ask again with `hatchery sessions yield`");
    }
    let text: String = results.iter().map(paragraph).collect();
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(_) => Err(Failure::OutputClosed),
    }
}

/// A result: a line that says whose and how it ended, and what was said.
fn paragraph(result: &Value) -> String {
    let mut head = format!("[{}]", render::text(result, "/sessionId"));
    let label = render::text(result, "/label");
    if !label.is_empty() {
        head.push_str(&format!(" {label}"));
    }
    head.push_str(&format!(" {}", render::text(result, "/status")));
    match (result["error"].as_str(), result["exitCode"].as_i64()) {
        (Some(error), _) => head.push_str(&format!(": {error}")),
        (None, Some(code)) if code != 0 => head.push_str(&format!(" (exit code {code})")),
        _ => {}
    }
    let said = render::text(result, "/result");
    let end = if said.is_empty() || said.ends_with('\n') { "" } else { "\n" };
    format!("{head}\n{said}{end}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::paragraph;

    #[test]
    fn a_result_reads_as_whose_it_is_how_it_ended_and_what_was_said() {
        let good = json!({"sessionId": "sess_a", "label": "one", "status": "ok", "exitCode": 0,
            "result": "hi\n"});
        assert_eq!(paragraph(&good), "[sess_a] one ok\nhi\n");
        let bad = json!({"sessionId": "sess_b", "label": null, "status": "timed_out",
            "error": "its time was up", "result": "half"});
        assert_eq!(paragraph(&bad), "[sess_b] timed_out: its time was up\nhalf\n");
        let code = json!({"sessionId": "sess_c", "status": "failed", "exitCode": 3, "result": ""});
        assert_eq!(paragraph(&code), "[sess_c] failed (exit code 3)\n");
    }
}
