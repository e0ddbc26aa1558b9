//! `hatchery config`.

use std::process::ExitCode;

use hatchery_gateway::config::Origin;
use hatchery_protocol::Method;
use serde_json::{Value, json};

use crate::args::ConfigCommand;
use crate::attach::attach_to_running;
use crate::environment;
use crate::failure::Failure;
use crate::render;

pub(crate) async fn run(command: ConfigCommand) -> Result<ExitCode, Failure> {
    let ConfigCommand::Show { merged, json: as_json } = command;
    // A running gateway knows better: it may have been started with flags.
    let mut settings = match attach_to_running().await? {
        Some(mut client) => {
            let answer = client.call(Method::ConfigGet, &json!({})).await?;
            answer["settings"].as_array().cloned().unwrap_or_default()
        }
        None => from_files()?,
    };
    settings.retain(|setting| merged || setting["isDefault"] != true);
    if as_json {
        render::json(&json!({"settings": settings}));
        return Ok(ExitCode::SUCCESS);
    }
    if settings.is_empty() {
        render::line("Nothing is set; every setting has its default (see --merged).");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = settings
        .iter()
        .map(|setting| {
            vec![
                render::text(setting, "/key"),
                setting["value"].to_string(),
                render::text(setting, "/origin"),
            ]
        })
        .collect();
    render::line(&render::table(&["KEY", "VALUE", "ORIGIN"], rows));
    if settings.iter().any(|setting| setting["key"] == "gateway.pairing.internalSpawnBypass") {
        render::line(
            "\nAn internal spawn never pairs, whatever gateway.pairing.internalSpawnBypass says.",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn from_files() -> Result<Vec<Value>, Failure> {
    let config = environment::config()?;
    let settings = config.settings().iter().map(|setting| {
        json!({
            "key": setting.key,
            "value": setting.value,
            "origin": setting.origin.to_string(),
            "isDefault": setting.origin == Origin::Default,
        })
    });
    Ok(settings.collect())
}
