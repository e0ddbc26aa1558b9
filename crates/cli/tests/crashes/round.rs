//! One round: lives of a gateway that end badly, and one at last that is asked about all of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Mutex;
use std::time::Instant;

use hatchery_failpoints::Point;
use serde_json::json;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::home::{Home, wait_until};
use crate::processes::{self, Process};
use crate::random::Random;
use crate::receiver::{Answer, Receiver, TAKEN};
use crate::record::Record;
use crate::story::{Story, Sum};
use crate::verdict::Verdict;
use crate::work::GO;
use crate::{journal, plan, recycled};

const CONFIG: &str =
    "{ agents: { defaults: { subagents: { maxSpawnDepth: 2, maxConcurrent: 3 } } } }";

/// A receiver that does not want a result, and one that wants it later.
const REFUSED: Answer = (400, "x: y", "");
const BUSY: Answer = (503, "x: y", "");

/// In how many rounds of a hundred root is without its privileges.
const WITHOUT_PRIVILEGES: u64 = 35;

/// One round.
pub(crate) struct Round<'a> {
    pub(crate) home: Home,
    pub(crate) random: Random,
    pub(crate) record: Record,
    pub(crate) receiver: Receiver,
    pub(crate) lives: u64,
    /// What dead gateways left, where nobody waited for it to be gone.
    pub(crate) left: Vec<BTreeSet<Process>>,
    /// Processes that have nothing to do with any of it; some have the number of a dead keeper.
    pub(crate) innocents: Vec<Child>,
    pub(crate) story: &'a Story,
    pub(crate) sum: &'a Mutex<Sum>,
}

impl<'a> Round<'a> {
    pub(crate) fn new(mut random: Random, story: &'a Story, sum: &'a Mutex<Sum>) -> Self {
        let mut home = Home::with_config(CONFIG, "");
        // Processes are held in another way where nobody has privileges.
        if random.percent(WITHOUT_PRIVILEGES) && nix::unistd::geteuid().is_root() {
            home = home.without_privileges();
            story.tell("without privileges".to_owned());
        }
        std::fs::create_dir(home.path().join("work")).unwrap();
        let innocents = vec![recycled::innocent()];
        let receiver = Receiver::start(match random.below(5) {
            0 => vec![REFUSED, TAKEN],
            1 => vec![BUSY, TAKEN],
            _ => vec![TAKEN],
        });
        let (record, left) = (Record::default(), Vec::new());
        Self { home, random, record, receiver, lives: 0, left, innocents, story, sum }
    }

    /// Plays the round in which a gateway is to die at `point`, or at any moment.
    pub(crate) fn play(&mut self, point: Option<Point>) {
        for life in plan::lives(&mut self.random, point) {
            self.live(&life);
        }
        self.last_life();
        for innocent in &mut self.innocents {
            assert!(innocent.try_wait().unwrap().is_none(), "a process beside it was ended");
        }
        self.sum.lock().unwrap().recycled += self.innocents.len() - 1;
    }

    /// The life that is asked what became of everything.
    fn last_life(&mut self) {
        let mut gateway = Gateway::start(&self.home, None).unwrap();
        // Its doors are open, so nobody of earlier lives may be there to come in.
        for left in &self.left {
            processes::assert_gone(left);
        }
        let mut client = Client::connect(&self.home).unwrap();
        self.come_to_rest(&mut client);
        for directory in self.directories() {
            self.record.receipts_in(&directory);
        }
        let known = self.record.known();
        for job in &known.jobs {
            let Some(again) = job.message() else { continue };
            let answer = client.ok("chat.send", &again);
            let is_new = answer["status"] == "started" && job.is_turn();
            let is_taken = known.taken.contains(&job.label);
            assert!(!is_new || !is_taken, "{} was taken on, and is new: {answer}", job.label);
        }
        self.come_to_rest(&mut client);
        let effects = self.directories().map(|directory| directory.join("count"));
        let letters = self.receiver.letters();
        let verdict = Verdict::hear(&mut client, &known, &effects, &letters);
        verdict.check();
        verdict.count(&mut self.sum.lock().unwrap());
        client.tell("gateway.stop", &json!({}));
        assert!(!gateway.ends());
        processes::assert_none_of(self.home.path(), Instant::now());
        journal::check(&self.home);
    }

    /// The directories that runs work in.
    fn directories(&self) -> [PathBuf; 2] {
        [self.home.path().join("work"), self.home.state_directory().join("workspace")]
    }

    /// Lets everything that waits go on, and waits until nothing goes on and no result is on its way.
    fn come_to_rest(&self, client: &mut Client) {
        wait_until("no run is live", || {
            for directory in self.directories().iter().filter(|directory| directory.exists()) {
                std::fs::write(directory.join(GO), "").unwrap();
            }
            let status = client.ok("gateway.status", &json!({}));
            let on_their_way = status["notices"]["open"] != status["notices"]["blocked"];
            status["runs"]["live"] == 0 && !on_their_way
        });
        // The journal is a moment behind, and keeps its order: once this is in it, all is.
        client.ok("chat.inject", &json!({"sessionKey": "main", "message": "at rest"}));
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        for innocent in &mut self.innocents {
            innocent.kill().ok();
            innocent.wait().ok();
        }
    }
}
