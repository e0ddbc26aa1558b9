//! What a gateway is put through.

use std::path::Path;
use std::time::{Duration, Instant};

use hatchery_protocol::Method;

use super::pulse::Pulse;
use super::report::Felt;
use super::{conversations, crowd, output, trees};
use crate::failure::Failure;
use crate::history;
use crate::home::{Gateway, Home, Limits};
use crate::memory;

/// How long nothing goes on before it is looked what memory came back.
const QUIET: Duration = Duration::from_secs(10);

/// How long it may take until everything has ended.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many sessions an old gateway has.
const OLD_SESSIONS: usize = 10_000;

/// What a gateway is put through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// 200 conversations ask for 10 sub-agents each, of which 64 are at work at a time.
    Conversations,
    /// The same, with many sessions there from before.
    OldConversations,
    /// 200 runs start 10 children each from inside, with the command that people type.
    Trees,
    /// 1,000 runs at work at the same time.
    Crowd,
    /// One run says much.
    Output,
    /// Eight runs say much at the same time.
    Outputs,
}

impl Scene {
    /// Every scene there is.
    pub(crate) const ALL: [Self; 6] = [
        Self::Conversations,
        Self::OldConversations,
        Self::Trees,
        Self::Crowd,
        Self::Output,
        Self::Outputs,
    ];

    /// The scene of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scene| scene.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Conversations => "conversations",
            Self::OldConversations => "old",
            Self::Trees => "trees",
            Self::Crowd => "crowd",
            Self::Output => "output",
            Self::Outputs => "outputs",
        }
    }

    /// The scene in words.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Conversations => conversations::describe(),
            Self::OldConversations => {
                format!("{}, {OLD_SESSIONS} sessions there before", conversations::describe())
            }
            Self::Trees => trees::describe(),
            Self::Crowd => crowd::describe(),
            Self::Output => output::describe(1),
            Self::Outputs => output::describe(output::MANY),
        }
    }

    fn limits(self) -> Limits {
        match self {
            Self::Conversations | Self::OldConversations => conversations::LIMITS,
            Self::Trees => trees::LIMITS,
            Self::Crowd => crowd::LIMITS,
            Self::Output | Self::Outputs => Limits::at_work(output::MANY),
        }
    }
}

/// How many results there should be, and how many came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(super) expected: usize,
    pub(super) came: usize,
}

/// Plays a scene against a gateway of its own.
pub(super) async fn play(program: &Path, scene: Scene) -> Result<Felt, Failure> {
    let home = Home::new(program.to_owned())?;
    if scene == Scene::OldConversations {
        history::write(&home, OLD_SESSIONS)?;
    }
    home.set_limits(&scene.limits())?;
    let mut gateway = home.start_gateway().await?;
    let pid = gateway.pid();
    let before = memory::resident(pid)?;
    let pulse = Pulse::start(home.socket())?;
    let began = Instant::now();
    let counted = match scene {
        Scene::Conversations | Scene::OldConversations => conversations::play(&mut gateway).await,
        Scene::Trees => trees::play(program, &mut gateway).await,
        Scene::Crowd => crowd::play(&mut gateway).await,
        Scene::Output => output::play(&mut gateway, 1).await,
        Scene::Outputs => output::play(&mut gateway, output::MANY).await,
    };
    let took = began.elapsed();
    let beats = pulse.stop();
    let (counted, beats) = (counted?, beats?);
    let peak = memory::most(pid)?;
    tokio::time::sleep(QUIET).await;
    let after = memory::resident_now(pid)?;
    gateway.stop().await?;
    Ok(Felt { took, counted, beats, before, peak, after })
}

/// Returns once no run is live.
pub(super) async fn until_nothing_is_live(gateway: &mut Gateway) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let runs = gateway.client.call(Method::GatewayStatus).await?["runs"].take();
        if runs["live"] == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            let (what, how) = ("the end of all runs".to_owned(), runs.to_string());
            return Err(Failure::Wrong { what, how });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
