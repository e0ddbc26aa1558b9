//! The text a device signs.

use hatchery_protocol::{ConnectParams, Role, Secret};

/// Which of the two texts is signed. This has nothing to do with the version of the wire: programs
/// sign the third, pages in a browser the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayloadVersion {
    /// Without platform and device family.
    V2,
    /// With platform and device family.
    V3,
}

impl PayloadVersion {
    /// The version's name, with which its text begins.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

/// The text that a device signs for a `connect` with these parameters.
#[must_use]
pub fn device_payload(
    params: &ConnectParams,
    device_id: &str,
    signed_at: i64,
    nonce: &str,
    version: PayloadVersion,
) -> String {
    let client = &params.client;
    let scopes = params.scopes.as_deref().unwrap_or_default().join(",");
    let signed_at = signed_at.to_string();
    let role = params.role.as_deref().unwrap_or(Role::Operator.as_str());
    let mut parts = vec![
        version.as_str(),
        device_id,
        &client.id,
        &client.mode,
        role,
        &scopes,
        &signed_at,
        signed_secret(params),
        nonce,
    ];
    let platform = normalized_metadata(&client.platform);
    let family = normalized_metadata(client.device_family.as_deref().unwrap_or_default());
    match version {
        PayloadVersion::V2 => {}
        PayloadVersion::V3 => parts.extend([platform.as_str(), &family]),
    }
    parts.join("|")
}

/// The secret the signature covers: the first that is there of shared token, device token and the
/// token of a setup code. A password is never signed.
pub(super) fn signed_secret(params: &ConnectParams) -> &str {
    let Some(auth) = &params.auth else { return "" };
    let first = auth.token.as_ref().or(auth.device_token.as_ref());
    first.or(auth.bootstrap_token.as_ref()).map_or("", Secret::reveal)
}

/// A platform or device family as it is signed and compared: without space around it, and its
/// ASCII letters small.
#[must_use]
pub fn normalized_metadata(text: &str) -> String {
    // What JavaScript's `trim` takes away: the byte order mark too, and not NEXT LINE.
    let space = |c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}');
    text.trim_matches(space).to_ascii_lowercase()
}
