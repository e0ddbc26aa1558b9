//! What became of everything that was promised, as a gateway tells it that has come to rest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::Client;
use crate::receiver::Letter;
use crate::record::Known;
use crate::story::Sum;
use crate::work::CONVERSATIONS;

/// The states in which a run is over.
const FINAL: [&str; 5] = ["ok", "failed", "timed_out", "cancelled", "interrupted"];

/// What the gateway tells, beside what is known.
pub(crate) struct Verdict<'a> {
    known: &'a Known,
    /// The rows of sessions that were opened for a run.
    rows: Vec<Value>,
    /// The parent of each session.
    parents: BTreeMap<String, String>,
    /// What stands in each session, by its id.
    histories: BTreeMap<String, Vec<Value>>,
    /// What was said in each conversation, by its key.
    transcripts: BTreeMap<&'static str, Vec<Value>>,
    /// How often each label stands in the files of side effects.
    effects: BTreeMap<String, u32>,
    /// What became of each result on its route, by label, and how often it came to its end.
    deliveries: BTreeMap<String, String>,
    letters: BTreeMap<String, u32>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &mut Value) -> Vec<Value> {
    value.as_array_mut().map(std::mem::take).unwrap_or_default()
}

impl<'a> Verdict<'a> {
    /// Asks for everything.
    pub(crate) fn hear(
        client: &mut Client,
        known: &'a Known,
        effects: &[PathBuf],
        letters: &[Letter],
    ) -> Self {
        let mut listed = client.ok("sessions.list", &json!({"limit": 1000}));
        let sessions = list(&mut listed["sessions"]);
        let mut histories = BTreeMap::new();
        let mut parents = BTreeMap::new();
        for session in &sessions {
            let id = text(&session["id"]);
            let mut history = client.ok("sessions.history", &json!({"session": id}));
            histories.insert(id.clone(), list(&mut history["items"]));
            parents.insert(id, text(&session["parent"]));
        }
        let transcripts = CONVERSATIONS.map(|key| {
            let params = json!({"sessionKey": key, "limit": 1000});
            (key, list(&mut client.ok("chat.history", &params)["messages"]))
        });
        let mut counted = BTreeMap::new();
        for file in effects {
            // Where nothing has happened there is no file.
            for label in std::fs::read_to_string(file).unwrap_or_default().lines() {
                *counted.entry(label.to_owned()).or_default() += 1;
            }
        }
        let is_of_run = |row: &Value| row["type"] == "subagent" || row["type"] == "acp";
        let rows = sessions.into_iter().filter(is_of_run).collect();
        let transcripts = BTreeMap::from(transcripts);
        let mut listed = client.ok("tasks.list", &json!({"limit": 200}));
        let deliveries = list(&mut listed["tasks"])
            .iter()
            .map(|task| (text(&task["title"]), text(&task["deliveryStatus"])))
            .collect();
        let mut came = BTreeMap::new();
        for letter in letters {
            *came.entry(text(&letter.body["label"])).or_default() += 1;
        }
        let effects = counted;
        Self { known, rows, parents, histories, transcripts, effects, deliveries, letters: came }
    }

    pub(crate) fn check(&self) {
        self.nothing_that_was_promised_is_missing();
        for row in &self.rows {
            self.every_run_is_over_and_as_it_was_told(row);
            self.every_result_stands_in_one_inbox(row);
            self.every_result_with_a_route_has_come_to_its_end(row);
        }
        for job in &self.known.jobs {
            if let (true, Some(conversation)) = (job.is_turn(), job.conversation()) {
                self.every_message_has_one_answer(&job.label, conversation);
            }
        }
        self.nothing_has_happened_twice();
    }

    /// Adds up what there was.
    pub(crate) fn count(&self, sum: &mut Sum) {
        sum.runs += self.rows.len();
        sum.ok += self.rows.iter().filter(|row| row["run"]["status"] == "ok").count();
        sum.messages += self.known.taken.len();
        sum.effects += self.effects.len();
        sum.told += self.letters.len();
    }

    /// The row of the run with this label.
    fn row(&self, label: &str) -> Option<&Value> {
        self.rows.iter().find(|row| row["label"] == label)
    }

    fn nothing_that_was_promised_is_missing(&self) {
        for (label, session) in &self.known.promised {
            let row = self.row(label).unwrap_or_else(|| panic!("{label} is lost: {session}"));
            assert_eq!(row["id"], session.as_str(), "{label} has another session: {row}");
        }
        for label in &self.known.refused {
            assert!(self.row(label).is_none(), "{label} was refused, and is there");
        }
        for (session, seq, said) in &self.known.heard {
            let is_it = |item: &&Value| item["kind"] == "output" && item["seq"] == *seq;
            let kept = self.histories[session].iter().find(is_it).map(|item| text(&item["text"]));
            assert_eq!(
                kept.as_ref(),
                Some(said),
                "{session} was heard to say this, as number {seq}"
            );
        }
        for session in &self.known.stopped {
            let row = self.rows.iter().find(|row| row["id"] == session.as_str());
            let status = row.map(|row| text(&row["run"]["status"])).unwrap_or_default();
            let over = FINAL.contains(&status.as_str()) && status != "interrupted";
            assert!(over, "{session} was said to be stopped, and is {status}");
        }
    }

    fn every_run_is_over_and_as_it_was_told(&self, row: &Value) {
        let (label, status) = (text(&row["label"]), text(&row["run"]["status"]));
        assert!(FINAL.contains(&status.as_str()), "{label} is not over: {row}");
        let same = self.rows.iter().filter(|other| other["label"] == row["label"]).count();
        assert_eq!(same, 1, "{label} was accepted more than once");
        if let Some(told) = self.known.ended.get(&label) {
            assert_eq!(*told, status, "{label} was told to have ended otherwise: {row}");
        }
        let history = &self.histories[&text(&row["id"])];
        let outcomes = history.iter().filter(|item| item["kind"] == "outcome").count();
        assert_eq!(outcomes, 1, "{label} has not ended once: {history:?}");
        if status == "ok" {
            assert_eq!(self.effects.get(&label), Some(&1), "{label} has ended well without effect");
            let said: String = history.iter().map(|item| text(&item["text"])).collect();
            let times = said.lines().filter(|line| *line == format!("said {label}")).count();
            assert_eq!(times, 1, "{label} is kept with another answer: {history:?}");
        }
    }

    /// There at least once, and said to be taken or refused, as it was.
    fn every_result_with_a_route_has_come_to_its_end(&self, row: &Value) {
        let label = text(&row["label"]);
        let routed = self.known.jobs.iter().any(|job| job.label == label && job.routed);
        let times = self.letters.get(&label).copied().unwrap_or_default();
        let state = self.deliveries.get(&label).map_or("nothing", String::as_str);
        let settled = matches!(state, "delivered" | "blocked");
        assert!(settled || !routed, "{label} is {state} on its route");
        assert_eq!(times > 0, routed, "{label} came {times} times, and is {state}");
    }

    fn every_result_stands_in_one_inbox(&self, row: &Value) {
        let (label, session) = (text(&row["label"]), text(&row["id"]));
        let mut inboxes = Vec::new();
        for (inbox, history) in &self.histories {
            let is_it = |item: &&Value| item["kind"] == "announced" && item["from"] == row["id"];
            inboxes.extend(history.iter().filter(is_it).map(|_| inbox.as_str()));
        }
        let [inbox] = inboxes[..] else { panic!("the result of {label} stands in {inboxes:?}") };
        let mut above = &session;
        while *above != inbox && inbox != "sess_main" {
            let parent = self.parents.get(above).filter(|parent| !parent.is_empty());
            above = parent.unwrap_or_else(|| panic!("{label} told {inbox}, which is not above it"));
        }
        // In a conversation it is a message too, where the run belongs to one.
        let end = format!(":{}", text(&row["run"]["runId"]));
        let is_it = |message: &&Value| {
            let of = &message["__openclaw"];
            of["kind"] == "announce" && of["runId"].as_str().is_some_and(|run| run.ends_with(&end))
        };
        let told = self.transcripts.values().flatten().filter(is_it).count();
        let root = |job: &&crate::work::Job| {
            label == job.label || label.starts_with(&format!("{}.", job.label))
        };
        let job =
            self.known.jobs.iter().find(root).unwrap_or_else(|| panic!("nobody asked for {label}"));
        let in_conversation = job.conversation().is_some()
            && !self.parents[inbox].starts_with("sess_")
            && !self.rows.iter().any(|row| row["id"] == inbox);
        assert_eq!(told, usize::from(in_conversation), "{label}, told to {inbox}, is told wrongly");
    }

    fn every_message_has_one_answer(&self, key: &str, conversation: &str) {
        let transcript = &self.transcripts[conversation];
        let user = format!("{key}:user");
        let asked = transcript.iter().filter(|message| message["idempotencyKey"] == user.as_str());
        let answers: Vec<&Value> = transcript
            .iter()
            .filter(|message| message["role"] == "assistant")
            .filter(|message| message["__openclaw"]["runId"] == key)
            .collect();
        // It was sent once more at the end, so it is there in any case.
        assert_eq!((asked.count(), answers.len()), (1, 1), "{key} is not said and answered once");
        let answer = answers[0];
        if answer["stopReason"] == "stop" {
            assert_eq!(self.effects.get(key), Some(&1), "{key} was answered without effect");
            let said = text(&answer["content"][0]["text"]);
            assert!(said.contains(&format!("said {key}\n")), "{key} has another answer: {answer}");
        }
        if let Some(told) = self.known.ended.get(key) {
            let is_good = answer["stopReason"] == "stop";
            assert_eq!(told == "ok", is_good, "{key} was told to be {told}: {answer}");
        }
    }

    fn nothing_has_happened_twice(&self) {
        for (label, times) in &self.effects {
            assert_eq!(*times, 1, "{label} has happened {times} times");
            let is_turn = self.known.jobs.iter().any(|job| job.is_turn() && job.label == *label);
            assert!(
                is_turn || self.row(label).is_some(),
                "{label} has run, and nobody accepted it"
            );
        }
    }
}
