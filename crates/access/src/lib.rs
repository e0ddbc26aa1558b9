//! Who may do what: doors, permits, grants, tickets, and every refusal with its remedy.
//!
//! A caller comes in by a door with proof the kernel or a signature gives, never by what it says
//! of itself. [`authorize`] is the one place where a [`Permit`] is made, and a handler that needs
//! authority takes a permit as an argument, so a forgotten check does not compile.
//!
//! Nothing here opens a socket, reads a clock or draws an id: facts come in as arguments and
//! decisions go out as values. Only the signing of tickets draws its own nonces.

mod address;
mod caller;
mod caller_record;
pub mod connect;
mod device;
mod grant;
mod host;
mod node_permit;
mod origin;
pub mod pairing;
mod peer;
mod permit;
mod refusal;
mod secret;
mod source;
mod throttle;
mod ticket;

pub use address::{AddressRange, InvalidAddressRange};
pub use caller::{Caller, DeviceCaller, DeviceId};
pub use caller_record::{CallerRecord, GrantRecord};
pub use device::{
    DeviceFault, DeviceKey, InvalidPublicKey, MAX_PUBLIC_KEY_TEXT, MAX_SIGNATURE_SKEW_MS,
    MAX_SIGNATURE_TEXT, MAX_SIGNED_SCOPES, MAX_SIGNED_SECRET, MAX_SIGNED_WORD, PayloadVersion,
    PublicKey, VerifiedDevice, device_payload, normalized_metadata, verify_device,
};
pub use grant::{ChildFacts, Grant};
pub use node_permit::{NodePermit, authorize_node};
pub use origin::{
    AllowedOrigin, BrowserHeaders, InvalidOrigin, OriginFault, Page, check_origin, is_page_client,
};
pub use peer::{LocalPeer, LocalPlace, Proof, admit};
pub use permit::{
    Admin, Approvals, Pairing, Permit, Questions, Read, RequiredScope, Write, authorize,
};
pub use refusal::{Refusal, Remedy};
pub use secret::{InvalidSecretHash, MAX_SECRET_BYTES, SecretHash, SharedSecret, UnusableSecret};
pub use source::{ForwardingHeaders, MAX_FORWARDING_BYTES, MAX_HOPS, Source, SourceFault, locate};
pub use throttle::{
    Because, CIRCLE_BURST, CIRCLE_REFILL_MS, KNOWN_MS, MAX_KNOWN, MAX_TRACKED, RateLimit,
    RetryAfter, Shown, Throttle, ThrottleSettings,
};
pub use ticket::{ReadTicket, Ticket, TicketDraft, TicketError, TicketOffice, TicketRefusal};
