//! Evidence: what the journal keeps of those who came in, were turned away or changed something.
//! Nothing here waits for the disk, and nothing that strangers do costs more than a count.

use std::net::IpAddr;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use hatchery_access::{DeviceId, Refusal};
use hatchery_protocol::{Role, Scope};
use hatchery_spawn::Event;
use hatchery_store::{AuditEvent, Entry};

use super::Supervisor;
use crate::clock::now_ms;
use crate::fold::{Fold, Written};

/// How often counts are written.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// How much is kept of a text that came from outside, in characters.
const MAX_WORDS: usize = 160;

/// Somebody who was let in at the device door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest<'a> {
    /// The device, where it showed a key.
    pub(crate) device: Option<&'a DeviceId>,
    /// Its program, as it says itself.
    pub(crate) client: &'a str,
    /// From where.
    pub(crate) source: IpAddr,
    /// What it was known by.
    pub(crate) method: &'a str,
    /// As what.
    pub(crate) role: Role,
}

impl Supervisor {
    /// Writes an entry of evidence.
    pub(crate) fn audit(&self, event: AuditEvent) {
        self.write_audit(vec![Entry::Audit(event)]);
    }

    /// Writes the refusal of a caller that is known: the owner, a run, a device that was let in.
    pub(crate) fn note_refusal(&self, caller: &str, refusal: &Refusal, subject: &str) {
        let written = self.folding(|fold| fold.refused(caller, refusal.code));
        log(written, caller, refusal, subject);
        if written == Written::Singly {
            let event = Event::Refused {
                caller: words(caller),
                code: refusal.code.to_owned(),
                rule: refusal.rule.to_owned(),
                subject: words(subject),
            };
            self.write_audit(vec![Entry::Event(event)]);
        }
    }

    /// Counts the refusal of somebody who was not let in.
    pub(crate) fn note_stranger(&self, source: IpAddr, refusal: &Refusal, subject: &str) {
        let source = source_of(source);
        let written = self.folding(|fold| fold.turned_away(&source, refusal.code));
        log(written, &source, refusal, subject);
    }

    /// Writes that somebody was let in, or counts it where that happens often.
    pub(crate) fn note_connect(&self, guest: Guest<'_>, scopes: impl Iterator<Item = Scope>) {
        let Guest { device, client, source, method, role } = guest;
        let source = source_of(source);
        let counted_as = device.map_or(source.as_str(), DeviceId::as_str);
        let written = self.folding(|fold| fold.connected(counted_as));
        if written == Written::Singly {
            self.audit(AuditEvent::Connected {
                device: device.map(ToString::to_string),
                client: words(client),
                source,
                method: words(method),
                role: role.to_string(),
                scopes: scopes.map(|scope| scope.to_string()).collect(),
            });
        }
    }

    /// Writes the counts of minutes that are over, until the task is ended.
    pub(crate) async fn flush_audit_regularly(&self) {
        loop {
            tokio::time::sleep(FLUSH_EVERY).await;
            self.folding(|_| {});
        }
    }

    /// Writes the counts there are, and returns once they are durable.
    pub(crate) async fn flush_audit(&self) {
        let entries = self.fold().take(now_ms());
        if !entries.is_empty() {
            self.write_audit(entries.into_iter().map(Entry::Audit).collect());
            self.settled().await;
        }
    }

    fn fold(&self) -> MutexGuard<'_, Fold> {
        // Every change to it is complete before anything can panic.
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something, and writes what was counted in a minute that is over.
    fn folding<T>(&self, count: impl FnOnce(&mut Fold) -> T) -> T {
        let (due, counted) = {
            let mut fold = self.fold();
            (fold.due(now_ms()), count(&mut fold))
        };
        if !due.is_empty() {
            self.write_audit(due.into_iter().map(Entry::Audit).collect());
        }
        counted
    }

    fn write_audit(&self, entries: Vec<Entry>) {
        self.store.append(now_ms(), entries, Box::new(|_| {}));
    }
}

/// The log is bounded by its size; what only repeats itself must not push the rest out of it.
fn log(written: Written, caller: &str, refusal: &Refusal, subject: &str) {
    let (code, rule) = (refusal.code, refusal.rule);
    let detail = refusal.log_only.as_deref();
    if written == Written::Counted {
        tracing::debug!(caller, code, rule, subject, detail, "refused");
    } else {
        tracing::warn!(caller, code, rule, subject, detail, "refused");
    }
}

/// A text from outside, cut to length and without what a terminal would obey.
fn words(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_WORDS).collect()
}

/// Whoever shares an IPv6 network of 64 bits is one source, as one machine has it to itself.
fn source_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) if address.is_loopback() => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::source_of;

    #[test]
    fn a_source_is_what_one_machine_has_to_itself() {
        for (address, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
            ("::1", "::1"),
        ] {
            assert_eq!(source_of(address.parse().unwrap()), expected);
        }
    }
}
