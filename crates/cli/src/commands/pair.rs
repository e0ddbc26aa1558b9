//! `hatchery pair`: a code that lets one device in.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hatchery_protocol::Method;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};

use crate::args::PairArgs;
use crate::attach::attach_to_running;
use crate::client::Client;
use crate::exit;
use crate::failure::Failure;
use crate::render;

/// How often it is asked whether the device has come.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn run(args: PairArgs) -> Result<ExitCode, Failure> {
    // A gateway hosted for this command would be gone before the device comes.
    let mut client = attach_to_running().await?.ok_or(Failure::NotRunning)?;
    let mut params = json!({"role": args.role});
    if let Some(url) = &args.url {
        params["publicUrl"] = json!(url);
    }
    if !args.scopes.is_empty() {
        params["scopes"] = json!(args.scopes);
    }
    let answer = client.call(Method::DevicePairSetupCode, &params).await?;
    if args.json {
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let code = render::text(&answer, "/setupCode");
    if let Some(picture) = picture(&code) {
        render::line(&picture);
    }
    render::line(&format!("Setup code: {code}"));
    let until = render::moment(answer["expiresAtMs"].as_u64().unwrap_or_default());
    render::line(&format!(
        "It lets one device in at {}, once, until {until}",
        render::text(&answer, "/gatewayUrl")
    ));
    if ["//127.", "//localhost", "//[::1]"]
        .iter()
        .any(|own| answer["gatewayUrl"].as_str().is_some_and(|url| url.contains(own)))
    {
        render::line(
            "Only this machine can reach that; `hatchery gateway restart --bind lan` opens it",
        );
    }
    if args.no_wait {
        return Ok(ExitCode::SUCCESS);
    }
    render::line("Waiting for the device; Ctrl-C ends the waiting and not the code");
    wait(&mut client, &answer).await
}

/// Waits until the code was used or is no longer good.
async fn wait(client: &mut Client, code: &Value) -> Result<ExitCode, Failure> {
    let params = json!({"setupId": code["setupId"]});
    let until = Duration::from_millis(code["expiresAtMs"].as_u64().unwrap_or_default());
    loop {
        let answer = client.call(Method::DevicePairSetupStatus, &params).await?;
        if let Some(device) = answer["completion"]["deviceId"].as_str() {
            render::line(&format!("Paired with device {}", device.get(..12).unwrap_or(device)));
            return Ok(ExitCode::SUCCESS);
        }
        if SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() >= until {
            eprintln!("hatchery: no device came while the code was good");
            eprintln!("  try: hatchery pair");
            return Ok(exit::FAILED);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// The code as a picture of half blocks, dark on light whatever the terminal's colours are.
fn picture(code: &str) -> Option<String> {
    let picture = QrCode::with_error_correction_level(code, EcLevel::L).ok()?;
    let text = picture
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::picture;

    #[test]
    fn a_code_of_usual_length_fits_a_terminal_of_eighty_columns() {
        let picture = picture(&"a".repeat(150)).unwrap_or_default();
        let widest = picture.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!((20..=80).contains(&widest), "{widest}");
    }
}
