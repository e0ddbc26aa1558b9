//! `hatchery devices`: who is let in.
//!
//! All of it goes through the owner's door, or through a gateway hosted for the moment, so it
//! works whatever has become of the devices' file.

mod show;

use std::process::ExitCode;

use hatchery_protocol::Method;
use serde_json::{Value, json};

use crate::args::{DevicesCommand, TokenArgs};
use crate::attach::{Attached, Purpose, attach};
use crate::commands::{find, say};
use crate::failure::Failure;

pub(crate) async fn run(command: DevicesCommand) -> Result<ExitCode, Failure> {
    let mut attached = attach(Purpose::Look).await?;
    let outcome = carry_out(&mut attached, command).await;
    attached.release(true).await;
    outcome
}

async fn carry_out(attached: &mut Attached, command: DevicesCommand) -> Result<ExitCode, Failure> {
    match command {
        DevicesCommand::List { json } => {
            let answer = devices(attached).await?;
            say(json, &answer, show::all);
        }
        DevicesCommand::Approve { request, latest, json } => {
            let known = devices(attached).await?;
            let id = if latest {
                find::latest(&known)?
            } else {
                find::device_request(&known, request.as_deref().unwrap_or_default())?
            };
            let params = json!({"requestId": id});
            let answer = attached.client.call(Method::DevicePairApprove, &params).await?;
            say(json, &answer, |answer| {
                let device = &answer["device"];
                format!("Approved: {} may {}", show::name(device), show::scopes(&device["scopes"]))
            });
        }
        DevicesCommand::Reject { request, json } => {
            let id = find::device_request(&devices(attached).await?, &request)?;
            let params = json!({"requestId": id});
            let answer = attached.client.call(Method::DevicePairReject, &params).await?;
            say(json, &answer, |_| format!("Rejected request {id}"));
        }
        DevicesCommand::Remove(args) => {
            let id = find::device(&devices(attached).await?, &args.device)?;
            let params = json!({"deviceId": id});
            let answer = attached.client.call(Method::DevicePairRemove, &params).await?;
            say(args.json, &answer, |_| format!("Removed device {}", show::short(&id)));
        }
        DevicesCommand::Rename { device, name, json } => {
            let id = find::device(&devices(attached).await?, &device)?;
            let params = json!({"deviceId": id, "label": name});
            let answer = attached.client.call(Method::DevicePairRename, &params).await?;
            say(json, &answer, |_| match &name {
                Some(name) => format!("Device {} is now '{name}'", show::short(&id)),
                None => format!("Device {} has its own name again", show::short(&id)),
            });
        }
        DevicesCommand::Rotate { token, scopes, show } => {
            rotate(attached, &token, scopes, show).await?;
        }
        DevicesCommand::Revoke(token) => {
            let id = find::device(&devices(attached).await?, token.device())?;
            let params = json!({"deviceId": id, "role": token.role});
            let answer = attached.client.call(Method::DeviceTokenRevoke, &params).await?;
            say(token.json, &answer, |_| {
                let (device, role) = (show::short(&id), &token.role);
                format!(
                    "Revoked the token of device {device} as {role}; its connections have ended"
                )
            });
        }
        DevicesCommand::Clear { pending, yes, json } => {
            if !yes {
                let what = if pending { "every request" } else { "every device and every request" };
                let again = if pending { " --pending" } else { "" };
                return Err(Failure::Usage(format!(
                    "this forgets {what}; say `hatchery devices clear{again} --yes` to do it"
                )));
            }
            let params = json!({"pendingOnly": pending});
            let answer = attached.client.call(Method::DevicePairClear, &params).await?;
            say(json, &answer, |answer| {
                format!("Forgot {} devices and {} requests", answer["devices"], answer["requests"])
            });
        }
        DevicesCommand::Explain { id, json } => {
            let params = json!({"id": id});
            let answer = attached.client.call(Method::DevicePairExplain, &params).await?;
            say(json, &answer, show::explanation);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn devices(attached: &mut Attached) -> Result<Value, Failure> {
    attached.client.call(Method::DevicePairList, &json!({})).await
}

async fn rotate(
    attached: &mut Attached,
    token: &TokenArgs,
    scopes: Vec<String>,
    reveal: bool,
) -> Result<(), Failure> {
    let id = find::device(&devices(attached).await?, token.device())?;
    let mut params = json!({"deviceId": id, "role": token.role, "reveal": reveal});
    if !scopes.is_empty() {
        params["scopes"] = json!(scopes);
    }
    let answer = attached.client.call(Method::DeviceTokenRotate, &params).await?;
    say(token.json, &answer, |answer| {
        let (device, role) = (show::short(&id), &token.role);
        let scopes = show::scopes(&answer["scopes"]);
        let rotated =
            format!("Rotated the token of device {device} as {role}; it is good for {scopes}");
        match answer["token"].as_str() {
            Some(new) => format!("{rotated}\nThe new token: {new}"),
            None => {
                format!("{rotated}\nThe device gets it when it connects with the shared secret")
            }
        }
    });
    Ok(())
}
