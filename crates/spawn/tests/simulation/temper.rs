//! What a world is like: its settings, and how often what happens in it. Each seed has a world of
//! its own kind, so that rare things come together in some of them.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_protocol::AgentId;
use hatchery_spawn::{
    AgentPolicy, AllowAgents, Budget, Deadlines, Policy, ProviderModels, QueueRoom,
};

use crate::moves::Move;
use crate::random::Random;

/// The model that runs commands.
pub(crate) const SHELL: &str = "builtin/shell";
/// A model of a provider.
pub(crate) const CHAT: &str = "p/m";
/// An agent with a command of its own, which speaks ACP.
pub(crate) const EXTERNAL: &str = "external";

/// What a world is like.
pub(crate) struct Temper {
    /// How many moves it has before it is left alone.
    pub(crate) moves: u64,
    /// How often each kind of move is made, compared to the others.
    pub(crate) weights: Vec<(Move, u64)>,
    /// What agents do, as often as it is in here.
    pub(crate) habits: Vec<Habit>,
    /// How many of a hundred runs have each kind of limit.
    pub(crate) limited: u64,
    /// How many of a hundred agents never get to work, or fall silent.
    pub(crate) sick: u64,
    /// How many of a hundred agents go on with a session of their own.
    pub(crate) resumable: u64,
    /// How many of a hundred recoveries find that devices are not approved any more.
    pub(crate) revoked: u64,
    /// How many of a hundred runs have a route.
    pub(crate) routed: u64,
    /// Every how many jobs a snapshot is taken.
    pub(crate) snapshot_every: u64,
}

/// Something an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It has a model called.
    Pays,
    /// It says that a call is over.
    Settles,
    Spawns,
    /// It waits for what it started.
    Yields,
    /// It asks for a permission.
    Asks,
    Speaks,
    Ends,
}

impl Habit {
    /// Each with how often it may be in a temper.
    const ALL: [(Self, &[usize]); 7] = [
        (Self::Pays, &[0, 3, 8]),
        (Self::Settles, &[0, 1, 4]),
        (Self::Spawns, &[1, 4, 6]),
        (Self::Yields, &[0, 1, 2]),
        (Self::Asks, &[0, 1]),
        (Self::Speaks, &[1]),
        (Self::Ends, &[1, 2, 4]),
    ];
}

impl Temper {
    pub(crate) fn new(random: &mut Random) -> Self {
        let weights = Move::ALL.iter().map(|(kind, weight, needed)| {
            let times: &[u64] = if *needed { &[2, 3, 6] } else { &[0, 1, 2, 2, 6] };
            (*kind, weight * random.pick(times))
        });
        let weights = weights.collect();
        let mut habits = Vec::new();
        for (habit, times) in Habit::ALL {
            habits.extend(std::iter::repeat_n(habit, random.pick(times)));
        }
        Self {
            habits,
            moves: random.pick(&[30, 60, 120, 240]),
            weights,
            limited: random.pick(&[0, 10, 40, 80]),
            sick: random.pick(&[0, 5, 30]),
            resumable: random.pick(&[0, 50, 100]),
            revoked: random.pick(&[0, 30, 80]),
            routed: random.pick(&[0, 20, 80]),
            snapshot_every: random.pick(&[3, 10, 30, 1_000]),
        }
    }

    /// The next kind of move.
    pub(crate) fn next(&self, random: &mut Random) -> Move {
        let all = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut at = random.below(all);
        for (kind, weight) in &self.weights {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *kind,
            }
        }
        Move::Commit
    }
}

/// The settings of a world.
pub(crate) fn policy(random: &mut Random, limited: u64) -> Policy {
    let agent = |harness: Option<&str>| AgentPolicy {
        model: SHELL.to_owned(),
        subagent_model: None,
        workspace: None,
        harness: harness.map(|command| vec![command.to_owned()]),
        allow_agents: AllowAgents::Any,
        require_agent_id: false,
    };
    let external = AgentId::new(EXTERNAL).unwrap();
    Policy {
        default_agent: AgentId::main(),
        acp_default_agent: None,
        acp_enabled: true,
        acp_allowed: BTreeSet::new(),
        acp_max_sessions: random.maybe(limited, 3).map(|limit| limit as u32 + 1),
        max_spawn_depth: random.below(4) as u32 + 1,
        max_children_per_agent: random.below(4) as u32 + 1,
        max_concurrent: random.below(4) as u32 + 1,
        queue_room: QueueRoom {
            runs: random.pick(&[1, 3, 1_000, 1_000]),
            task_bytes: random.pick(&[30, 100, 1_000_000, 1_000_000]),
        },
        run_timeout_ms: random.maybe(limited / 2, 100_000),
        deadlines: deadlines(random, limited / 2),
        budget: budget(random, limited / 2),
        closing: false,
        agents: BTreeMap::from([
            (AgentId::main(), agent(None)),
            (external, agent(Some("an agent"))),
        ]),
        models: BTreeMap::from([("p".to_owned(), ProviderModels::Any)]),
    }
}

/// Time limits of a run.
pub(crate) fn deadlines(random: &mut Random, limited: u64) -> Deadlines {
    Deadlines {
        queue_ms: random.maybe(limited, 60_000),
        start_ms: random.maybe(limited, 20_000),
        idle_ms: random.maybe(limited, 30_000),
    }
}

/// A budget of a run.
pub(crate) fn budget(random: &mut Random, limited: u64) -> Budget {
    Budget {
        tokens: random.maybe(limited, 200),
        cost_micros: random.maybe(limited / 2, 100),
        wall_ms: random.maybe(limited / 2, 200_000),
        descendants: random.maybe(limited, 6).map(|limit| limit as u32),
        concurrency: random.maybe(limited, 3).map(|limit| limit as u32 + 1),
    }
}
