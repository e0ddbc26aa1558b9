//! A provider's words, fit to be shown: short, of one line, and without what is secret.

use http::Uri;

use crate::ChatModel;

/// The most characters of a provider's words that are shown.
const SHOWN: usize = 300;

/// What stands where a secret stood.
const HIDDEN: &str = "[hidden]";

/// A provider's words as they may be shown.
pub(crate) fn shown(model: &ChatModel, words: &str) -> String {
    let mut words = words.to_owned();
    let secrets = model.api_key.iter().chain(model.headers.iter().map(|(_, value)| value));
    for secret in secrets.filter(|secret| !secret.reveal().trim().is_empty()) {
        words = words.replace(secret.reveal().trim(), HIDDEN);
    }
    let line: Vec<&str> = words.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = line.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "it gave no reason".to_owned(),
        None => line,
    }
}

/// What an error's body says, if it says something: the message of the usual envelopes, else the
/// text itself.
pub(crate) fn message(body: &str) -> String {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else {
        // A page for browsers explains nothing in its first 300 characters.
        let page = body.trim_start().starts_with('<');
        return if page { String::new() } else { body.to_owned() };
    };
    let places = ["/error/message", "/message", "/detail", "/error"];
    let found = places.iter().find_map(|place| json.pointer(place)?.as_str());
    found.map_or_else(|| body.to_owned(), str::to_owned)
}

/// The machine's word for an error, if the body has one.
pub(crate) fn code(body: &str) -> String {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else { return String::new() };
    let places = ["/error/code", "/error/type", "/code"];
    places.iter().find_map(|place| json.pointer(place)?.as_str()).unwrap_or_default().to_owned()
}

/// Scheme, host and port of an address; its path and a password in it are nobody's business.
pub(crate) fn origin(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return "its base URL".to_owned() };
    let scheme = uri.scheme_str().unwrap_or("http");
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}", uri.host().unwrap_or("?"))
}
