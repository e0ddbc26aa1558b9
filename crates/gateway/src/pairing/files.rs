//! The devices on disk.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hatchery_access::DeviceId;
use hatchery_access::pairing::{PairedDevice, PairingState};
use hatchery_store::{DeviceChange, DeviceCondition, DeviceStore, NoRandomness};
use serde_json::{Value, json};

use super::lock;
use crate::clock::now_ms;

/// The store of devices. Whatever is asked of it is answered; what it cannot do it says.
pub(super) struct Files(Mutex<DeviceStore>);

impl Files {
    /// Opens the store and reads what is in it.
    pub(super) fn open(directory: &Path) -> Result<(Self, PairingState), NoRandomness> {
        let (store, kept) = DeviceStore::open(directory, now_ms())?;
        warn(&store);
        let known = kept.records.iter().filter_map(|record| {
            let read: Result<PairedDevice, _> = serde_json::from_str(record);
            // It stays where it is; the device has to ask anew and replaces it.
            read.inspect_err(|error| tracing::error!("a device's record is not used: {error}")).ok()
        });
        let state = PairingState::new(kept.install_key, known);
        Ok((Self(Mutex::new(store)), state))
    }

    /// Writes the records of devices as they are now. Whoever writes last writes the newest, so
    /// two who write at once never leave an old one behind.
    pub(super) fn keep(&self, state: &Mutex<PairingState>, devices: &[DeviceId]) -> bool {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_durable = store.is_durable();
        let changes: Vec<DeviceChange> = {
            let state = lock(state);
            devices
                .iter()
                .map(|id| {
                    let record = state.device(id).map(serde_json::to_string);
                    Ok(DeviceChange { id: id.to_string(), record: record.transpose()? })
                })
                .collect::<Result<_, serde_json::Error>>()
                .inspect_err(|error| tracing::error!("devices cannot be written: {error}"))
                .unwrap_or_default()
        };
        let durable = !changes.is_empty() && store.write(&changes);
        if was_durable && !durable {
            warn(&store);
        }
        durable
    }

    pub(super) fn is_durable(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_durable()
    }

    /// The store's condition, for people and programs.
    pub(super) fn view(&self) -> Value {
        let store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (condition, particulars) = words(store.condition());
        json!({
            "path": store.path(), "condition": condition, "particulars": particulars,
            "durable": store.is_durable(),
        })
    }
}

fn words(condition: &DeviceCondition) -> (&'static str, Option<String>) {
    match condition {
        DeviceCondition::Ok => ("ok", None),
        DeviceCondition::New => ("new", None),
        DeviceCondition::Damaged { moved_to } => (
            "damaged",
            Some(format!("it was damaged; what was left of it is {}", moved_to.display())),
        ),
        DeviceCondition::ReadOnly => ("read-only", None),
        DeviceCondition::Unavailable { why } => ("unavailable", Some(why.clone())),
    }
}

fn warn(store: &DeviceStore) {
    let path = store.path().display();
    match store.condition() {
        DeviceCondition::Ok | DeviceCondition::New => {}
        DeviceCondition::Damaged { moved_to } => tracing::error!(
            "{path} was damaged and was put aside as {}; every device has to pair again",
            moved_to.display()
        ),
        DeviceCondition::ReadOnly => tracing::error!(
            "{path} is read-only: what is decided about devices ends with this gateway"
        ),
        DeviceCondition::Unavailable { why } => tracing::error!(
            "{path} cannot be used ({why}): what is decided about devices ends with this gateway"
        ),
    }
}
