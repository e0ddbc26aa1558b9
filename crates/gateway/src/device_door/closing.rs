//! How somebody who is not let in hears of it: the answer, and the last word of the connection.

use hatchery_access::Refusal;
use hatchery_access::connect::Denial;
use hatchery_protocol::{
    ConnectParams, ErrorCode, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, WireError,
};
use serde_json::json;

use crate::outbox::Closing;

/// The answer to a `connect` that failed, and how the connection ends after it (OpenClaw protocol
/// §1.6).
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) error: WireError,
    pub(super) closing: Closing,
}

impl Farewell {
    /// For what is no `connect`, or one that cannot be read.
    pub(super) fn invalid(error: WireError) -> Self {
        let closing = Closing::new(1008, error.message.clone());
        Self { error, closing }
    }

    /// For a client of another time.
    pub(super) fn protocol_mismatch(params: &ConnectParams) -> Self {
        let mut error = WireError::new(ErrorCode::InvalidRequest, "protocol mismatch");
        error.details = Some(json!({
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": params.min_protocol,
            "clientMaxProtocol": params.max_protocol,
            "expectedProtocol": PROTOCOL_VERSION,
            "minimumProbeProtocol": OLDEST_PROTOCOL_VERSION,
        }));
        Self { error, closing: Closing::new(1002, "protocol mismatch") }
    }

    /// For what was decided of somebody who had answered the challenge.
    pub(super) fn denied(denial: &Denial) -> Self {
        let closing = Closing::new(denial.close_code, denial.close_reason.clone());
        Self { error: denial.wire(), closing }
    }

    /// For a refusal. The reason of the close frame is the message, as clients of version 3 look
    /// for it there.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let error = WireError::from(refusal);
        Self { closing: Closing::new(1008, error.message.clone()), error }
    }
}
