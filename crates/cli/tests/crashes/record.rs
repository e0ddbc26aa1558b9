//! What was asked for in a round, and what the gateways said of it before they died.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

use crate::work::{How, Job};

/// What is known from outside.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) jobs: Vec<Job>,
    /// The session of each run with a receipt, by label.
    pub(crate) promised: BTreeMap<String, String>,
    /// The messages that were taken on, by key, which is the label too.
    pub(crate) taken: BTreeSet<String>,
    /// What was refused.
    pub(crate) refused: BTreeSet<String>,
    /// How runs ended, as their askers were told, by label.
    pub(crate) ended: BTreeMap<String, String>,
    /// What runs were heard to say: session, place in what it says, text.
    pub(crate) heard: Vec<(String, u64, String)>,
    /// The sessions that were said to be stopped.
    pub(crate) stopped: BTreeSet<String>,
}

/// The same, shared by those who ask.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Known>);

impl Record {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap()
    }

    /// Takes note of an answer to a job. True when no more is to come.
    pub(crate) fn answered(&self, job: &Job, answer: &Value) -> bool {
        let mut known = self.known();
        let label = job.label.clone();
        if answer["ok"] != true {
            known.refused.insert(label);
            return true;
        }
        let payload = &answer["payload"];
        let status = payload["status"].as_str().unwrap().to_owned();
        match (job.how, status.as_str()) {
            (How::Spawn { attached }, "accepted") => {
                let session = payload["sessionId"].as_str().unwrap().to_owned();
                known.promised.insert(label, session);
                !attached
            }
            (How::Turn { attached, .. }, "accepted" | "started") => {
                known.taken.insert(label);
                !attached
            }
            (How::SpawnInChat { .. }, _) => {
                known.taken.insert(label);
                true
            }
            _ => {
                known.ended.insert(label, status);
                true
            }
        }
    }

    /// Takes note of what a run says.
    pub(crate) fn heard(&self, said: &Value) {
        let text = |name: &str| said[name].as_str().unwrap().to_owned();
        let piece = (text("sessionId"), said["seq"].as_u64().unwrap(), text("text"));
        self.known().heard.push(piece);
    }

    /// Takes note of the answer to a kill.
    pub(crate) fn stopped(&self, answer: &Value) {
        let sessions = answer["payload"]["stopped"].as_array().into_iter().flatten();
        let sessions = sessions.map(|session| session.as_str().unwrap().to_owned());
        self.known().stopped.extend(sessions);
    }

    /// Takes note of what a command has printed: a receipt, or how its run ended.
    pub(crate) fn printed(&self, label: &str, text: &str) {
        // A command whose gateway dies says nothing, or no more than half of it.
        let Ok(printed) = serde_json::from_str::<Value>(text) else { return };
        let Some(session) = printed["sessionId"].as_str() else { return };
        let mut known = self.known();
        known.promised.insert(label.to_owned(), session.to_owned());
        let status = printed["status"].as_str().unwrap();
        if status != "accepted" {
            known.ended.insert(label.to_owned(), status.to_owned());
        }
    }

    /// Takes note of the receipts that runs have got for their own children.
    pub(crate) fn receipts_in(&self, directory: &Path) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if let Some(label) = name.strip_prefix("receipt.") {
                self.printed(label, &std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
}
