//! Exit codes people can rely on.

use std::process::ExitCode;

/// It did not work.
pub(crate) const FAILED: ExitCode = ExitCode::FAILURE;

/// The status of a refusal, by its stable name.
pub(crate) fn of_refusal(code: Option<&str>) -> u8 {
    match code {
        Some("AGENT_NOT_ALLOWED") => 7,
        Some("SESSION_LIMIT") => 65,
        _ => 1,
    }
}

/// A status as `main` returns it.
pub(crate) fn status(code: i32) -> ExitCode {
    // A status is one byte; what does not fit is still a failure.
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::of_refusal;

    #[test]
    fn refusals_have_their_status() {
        assert_eq!(of_refusal(Some("AGENT_NOT_ALLOWED")), 7);
        assert_eq!(of_refusal(Some("SESSION_LIMIT")), 65);
        assert_eq!(of_refusal(Some("DEPTH_LIMIT")), 1);
        assert_eq!(of_refusal(None), 1);
    }
}
