//! Where ids come from.

use hatchery_protocol::{RunId, SessionId};

/// The characters of a session id: none that is taken for another, all without shift.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// How many characters a session id has behind `sess_`: 50 random bits, so that even with a
/// million sessions two meet once in two thousand lives of a store.
const SESSION_CHARACTERS: usize = 10;

/// The system's source of randomness failed.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub(crate) struct NoRandomness(#[from] getrandom::Error);

/// A new run's name and its session's.
pub(crate) fn draw() -> Result<(RunId, SessionId), NoRandomness> {
    let (mut run, mut session) = ([0; 16], [0; SESSION_CHARACTERS]);
    getrandom::fill(&mut run)?;
    getrandom::fill(&mut session)?;
    let run = uuid::Builder::from_random_bytes(run).into_uuid();
    let letters = session.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let session = std::iter::once("sess_".to_owned()).chain(letters.map(String::from)).collect();
    Ok((RunId::new(run.to_string()), SessionId::new(session)))
}

/// What a client has to sign, new for every connection.
pub(crate) fn nonce() -> Result<String, NoRandomness> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    Ok(uuid::Builder::from_random_bytes(nonce).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::draw;

    #[test]
    fn ids_are_new_each_time_and_have_their_form() {
        let (run, session) = draw().unwrap();
        let (other_run, other_session) = draw().unwrap();
        assert_ne!(run, other_run);
        assert_ne!(session, other_session);
        assert_eq!(run.as_str().len(), 36);
        assert_eq!(session.as_str().len(), 15);
        assert!(session.as_str().starts_with("sess_"));
    }
}
