//! One round: lives of a gateway that end badly, and one at last that is asked about all of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hatchery_failpoints::Point;
use serde_json::json;

use crate::asking::{Asking, ask_for};
use crate::client::Client;
use crate::gateway::{Armed, Gateway};
use crate::home::{Home, wait_until};
use crate::processes::{self, Process};
use crate::random::Random;
use crate::record::Record;
use crate::recycled;
use crate::story::{Story, Sum};
use crate::verdict::Verdict;
use crate::work::{GO, Job};

/// How long a gateway that is to die at a point may be busy without coming to it. It is killed
/// then, which is as good a crash as any.
const AT_MOST: Duration = Duration::from_millis(600);

const CONFIG: &str =
    "{ agents: { defaults: { subagents: { maxSpawnDepth: 2, maxConcurrent: 3 } } } }";

/// One round.
pub(crate) struct Round<'a> {
    pub(crate) home: Home,
    random: Random,
    record: Record,
    lives: u64,
    /// What dead gateways left and when they died, where nobody waited for it to be gone.
    left: Vec<(BTreeSet<Process>, Instant)>,
    /// A process that has nothing to do with any of it.
    bystander: Child,
    story: &'a Story,
    sum: &'a Mutex<Sum>,
}

/// A life of a gateway.
struct Life {
    armed: Option<Armed>,
    /// How much is asked of it.
    jobs: u64,
    /// Whether it is told to end if it has not died.
    told_to_end: bool,
}

impl<'a> Round<'a> {
    pub(crate) fn new(random: Random, story: &'a Story, sum: &'a Mutex<Sum>) -> Self {
        let home = Home::with_config(CONFIG, "");
        std::fs::create_dir(home.path().join("work")).unwrap();
        let bystander = Command::new("sleep")
            .arg("1000")
            .env_clear()
            .current_dir("/")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (record, left) = (Record::default(), Vec::new());
        Self { home, random, record, lives: 0, left, bystander, story, sum }
    }

    /// Plays the round in which a gateway is to die at `point`, or at any moment.
    pub(crate) fn play(&mut self, point: Option<Point>) {
        for life in self.plan(point) {
            self.live(&life);
        }
        self.last_life();
        let bystander = i32::try_from(self.bystander.id()).unwrap();
        assert!(processes::start_time(bystander).is_some(), "a process beside it was killed");
    }

    fn plan(&mut self, point: Option<Point>) -> Vec<Life> {
        let Some(point) = point else {
            return vec![self.busy(None), self.busy(None)];
        };
        let mut lives = match point {
            Point::StoreFound | Point::StoreOpened if self.random.percent(30) => vec![idle(point)],
            Point::StoreFound | Point::StoreOpened => vec![self.busy(None), idle(point)],
            Point::RecoveryBegun | Point::RecoveryReaped | Point::RecoveryMarked => {
                let before = [Point::Running, Point::AfterOutput, Point::Unmarked, Point::Receipt];
                let before = *self.random.pick(&before);
                vec![self.busy(Some(Armed { point: before, times: 1 })), idle(point)]
            }
            Point::ShutdownBegun | Point::ShutdownTold | Point::ShutdownIdle => {
                let armed = Some(Armed { point, times: 1 });
                vec![Life { told_to_end: true, ..self.busy(armed) }]
            }
            _ => {
                let times = match self.random.below(10) {
                    0..=4 => 1,
                    5..=7 => 2 + self.random.below(2),
                    _ => 4 + self.random.below(5),
                };
                vec![self.busy(Some(Armed { point, times }))]
            }
        };
        if self.random.percent(20) {
            let again = [Point::StoreOpened, Point::RecoveryReaped, Point::RecoveryMarked];
            lives.push(idle(*self.random.pick(&again)));
        }
        if self.random.percent(20) {
            let again = *self.random.pick(Point::ALL);
            lives.push(self.busy(Some(Armed { point: again, times: 1 })));
        }
        lives
    }

    fn busy(&mut self, armed: Option<Armed>) -> Life {
        Life { armed, jobs: 2 + self.random.below(4), told_to_end: self.random.percent(20) }
    }

    /// One life, to its bad end.
    fn live(&mut self, life: &Life) {
        self.lives += 1;
        self.story.tell(format!("a gateway for {} jobs, armed: {:?}", life.jobs, life.armed));
        let died = match Gateway::start(&self.home, life.armed) {
            None => true,
            Some(mut gateway) => self.busy_life(&mut gateway, life),
        };
        let since = Instant::now();
        let mut sum = self.sum.lock().unwrap();
        match life.armed {
            Some(Armed { point, .. }) if died => *sum.died_at.entry(point).or_default() += 1,
            _ => sum.killed += 1,
        }
        drop(sum);
        self.story.tell(if died { "died" } else { "was killed or told to end" }.to_owned());
        if self.random.percent(50) {
            processes::assert_none_of(self.home.path(), since);
        } else {
            // The next life meets what this one has left.
            self.left.push((processes::of_home(self.home.path()), since));
        }
        if self.random.percent(25) {
            recycled::forge_records(&self.home, &self.bystander);
            self.story.tell("the bystander stands in the records".to_owned());
        }
    }

    /// Asks things of a gateway until it dies; true if it did so by itself.
    fn busy_life(&mut self, gateway: &mut Gateway, life: &Life) -> bool {
        let jobs: Vec<Job> = (1..=life.jobs)
            .map(|number| Job::draw(&mut self.random, format!("r{}.{number}", self.lives)))
            .collect();
        self.record.known().jobs.extend(jobs.iter().cloned());
        let is_stop = life.armed.is_some_and(|armed| armed.point == Point::Stopping);
        let asking = Asking {
            home: &self.home,
            record: &self.record,
            kills: is_stop || self.random.percent(30),
            limit: match life.armed {
                Some(_) => AT_MOST,
                None => Duration::from_millis(self.random.below(300)),
            },
        };
        let commands = ask_for(&asking, jobs, gateway);
        let mut died = gateway.is_dead();
        if !died && life.told_to_end {
            if let Some(mut client) = Client::connect(&self.home) {
                client.send("gateway.stop", "gateway.stop", &json!({}));
            }
            died = gateway.ends();
        } else if !died {
            gateway.kill();
        }
        for (label, mut command) in commands {
            command.kill().unwrap();
            let output = command.wait_with_output().unwrap();
            self.record.printed(&label, &String::from_utf8_lossy(&output.stdout));
        }
        // A command that found no gateway any more has started one.
        processes::kill_gateways(self.home.path());
        died
    }

    /// The life that is asked what became of everything.
    fn last_life(&mut self) {
        let mut gateway = Gateway::start(&self.home, None).unwrap();
        for (left, since) in &self.left {
            processes::assert_gone(left, *since);
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
        let verdict = Verdict::hear(&mut client, &known, &effects);
        verdict.check();
        verdict.count(&mut self.sum.lock().unwrap());
        client.send("gateway.stop", "gateway.stop", &json!({}));
        assert!(!gateway.ends());
        processes::assert_none_of(self.home.path(), Instant::now());
        let said = self.home.run(&["audit", "verify"]);
        assert_eq!(said.status, 0, "{said:?}");
    }

    /// The directories that runs work in.
    fn directories(&self) -> [PathBuf; 2] {
        [self.home.path().join("work"), self.home.state_directory().join("workspace")]
    }

    /// Lets everything that waits go on, and waits until nothing goes on.
    fn come_to_rest(&self, client: &mut Client) {
        wait_until("no run is live", || {
            for directory in self.directories().iter().filter(|directory| directory.exists()) {
                std::fs::write(directory.join(GO), "").unwrap();
            }
            client.ok("gateway.status", &json!({}))["runs"]["live"] == 0
        });
        // The journal is a moment behind, and keeps its order: once this is in it, all is.
        client.ok("chat.inject", &json!({"sessionKey": "main", "message": "at rest"}));
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.bystander.kill().ok();
        self.bystander.wait().ok();
    }
}

/// A life that only starts.
fn idle(point: Point) -> Life {
    Life { armed: Some(Armed { point, times: 1 }), jobs: 0, told_to_end: false }
}
