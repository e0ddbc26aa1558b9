//! The device door's one decision: whether somebody who connects is let in, as what, and for what.
//!
//! Everything that was established about the connection comes in as an [`Arrival`]: where it
//! really comes from, whether the shared secret was right, which device key was proved. What the
//! client says of itself is only what it asks for. [`admit_device`] answers with an
//! [`Admission`]; it opens no socket, reads no clock and draws no token.
//!
//! What is granted is what is asked, within what was approved for the device. Position on the
//! network grants nothing; loopback together with the shared secret, with no `Origin` and no
//! forwarding header, is the owner by another way, whose devices are approved without asking.

mod admit;
mod arrival;
mod credential;
mod denial;
mod keyless;
mod policy;

pub use admit::{Admission, Admitted, Issued, PendingAdmission, admit_device};
pub use arrival::{Arrival, ProvenDevice, SharedFailure, SharedProof};
pub use credential::AuthMethod;
pub use denial::{Denial, MAX_CLOSE_REASON_BYTES, SecretBucket};
pub use policy::{AuthMode, DoorPolicy, exemptions_refused};
