//! One life of a gateway in a round, to its bad end.

use std::time::{Duration, Instant};

use hatchery_failpoints::Point;
use serde_json::json;

use crate::asking::{Asking, ask_for, begin};
use crate::client::Client;
use crate::gateway::{Armed, Gateway};
use crate::plan::{Host, Life};
use crate::processes;
use crate::recycled;
use crate::round::Round;
use crate::work::Job;

/// How long a gateway that is to die at a point may be busy without coming to it. It is killed
/// then, which is as good a crash as any.
const AT_MOST: Duration = Duration::from_millis(600);

/// How long a gateway whose socket is closed may take to be dead.
const PATIENCE: Duration = Duration::from_secs(30);

impl Round<'_> {
    pub(crate) fn live(&mut self, life: &Life) {
        self.lives += 1;
        self.story.tell(format!("{life:?}"));
        let died = match life.host {
            Host::Command => self.hosted_life(life),
            Host::Gateway => match Gateway::start(&self.home, life.armed) {
                None => true,
                Some(mut gateway) => self.busy_life(&mut gateway, life),
            },
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
            self.innocents.extend(recycled::innocent_for(&self.home));
        } else {
            // The next life meets what this one has left.
            self.left.push(processes::of_home(self.home.path()));
        }
    }

    /// How long a life goes on at most.
    fn limit(&mut self, life: &Life) -> Duration {
        match life.armed {
            Some(_) => AT_MOST,
            None => Duration::from_millis(self.random.below(300)),
        }
    }

    /// Asks things of a gateway until it dies; true if it did so by itself.
    fn busy_life(&mut self, gateway: &mut Gateway, life: &Life) -> bool {
        let mut jobs: Vec<Job> = (1..=life.jobs)
            .map(|number| Job::draw(&mut self.random, format!("r{}.{number}", self.lives)))
            .collect();
        if life.armed.is_some_and(|armed| armed.point == Point::Told) {
            // Nobody else comes there.
            jobs.iter_mut().filter(|job| job.may_be_routed()).for_each(|job| job.routed = true);
        }
        self.record.known().jobs.extend(jobs.iter().cloned());
        let is_stop = life.armed.is_some_and(|armed| armed.point == Point::Stopping);
        let kills = is_stop || self.random.percent(30);
        let limit = self.limit(life);
        let receiver = self.receiver.url("/");
        let asking =
            Asking { home: &self.home, record: &self.record, receiver: &receiver, kills, limit };
        let commands = ask_for(&asking, jobs, gateway);
        let mut died = gateway.is_dead();
        if !died && life.told_to_end {
            match Client::connect(&self.home) {
                Some(mut client) => client.tell("gateway.stop", &json!({})),
                // It is dying. Its sockets close before it counts as dead.
                None => assert!(
                    gateway.is_dead_by(Instant::now() + PATIENCE),
                    "a gateway that lives lets nobody in"
                ),
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
        // A command that found no gateway any more has started one, or was just about to.
        processes::kill_gateways(self.home.path());
        died
    }

    /// Lets a command be the gateway until it dies; true if it did so by itself.
    fn hosted_life(&mut self, life: &Life) -> bool {
        let job = Job::for_a_host(&mut self.random, format!("r{}.1", self.lives));
        self.record.known().jobs.push(job.clone());
        let receiver = self.receiver.url("/");
        let deadline = Instant::now() + self.limit(life);
        let mut host = Gateway::hosted(begin(&self.home, &job, &receiver, life.armed), life.armed);
        let ended = host.is_over_by(deadline);
        let died = ended.is_some_and(|well| !well);
        if ended.is_none() {
            host.kill();
        }
        self.record.printed(&job.label, &host.printed());
        died
    }
}
