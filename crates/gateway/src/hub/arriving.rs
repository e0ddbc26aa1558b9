//! Those of whom it is being decided. Whatever is taken away meanwhile finds no member to put out,
//! so it is kept until the decision is carried out.

use hatchery_access::DeviceId;
use hatchery_protocol::Role;

use super::Member;

/// Somebody of whom it is being decided, and what was taken away since that began.
#[derive(Debug)]
pub(super) struct Arriving {
    /// The device it says it is.
    device: Option<String>,
    missed: Vec<PutOut>,
}

/// What is taken away, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PutOut {
    pub(super) whose: Whose,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A device's connections, in one role or all.
    Device(DeviceId, Option<Role>),
    /// The connections that were let in by the shared secret, or by what stood in its place.
    KnownBySecret,
}

impl Arriving {
    pub(super) fn new(device: Option<&str>) -> Self {
        Self { device: device.map(str::to_owned), missed: Vec::new() }
    }

    /// Keeps in mind that something was taken away, where that may concern it.
    pub(super) fn miss(&mut self, put_out: &PutOut) {
        let may_concern = match &put_out.whose {
            Whose::Device(device, _) => self.device.as_deref() == Some(device.as_str()),
            Whose::KnownBySecret => true,
        };
        if may_concern && !self.missed.contains(put_out) {
            self.missed.push(put_out.clone());
        }
    }

    /// Why it has to go at once, now that it is known as whom it comes.
    pub(super) fn late(self, member: &Member) -> Option<&'static str> {
        let late = self.missed.into_iter().find(|put_out| put_out.whose.concerns(member));
        late.map(|put_out| put_out.reason)
    }
}

impl Whose {
    pub(super) fn concerns(&self, member: &Member) -> bool {
        match self {
            Self::Device(device, role) => {
                member.caller.device() == Some(device)
                    && role.is_none_or(|role| member.caller.role() == role)
            }
            Self::KnownBySecret => member.by_secret,
        }
    }
}
