//! Whether a spawn is taken on: the rules in the order a person would ask them.

use hatchery_access::{Caller, CallerRecord};
use hatchery_protocol::{AgentId, RuntimeKind, SessionId, SessionKey, SessionKind};

use crate::budget::BudgetPart;
use crate::model_choice::{SHELL_MODEL, choose_model, usable};
use crate::notice::MAX_OPEN_NOTICES;
use crate::policy::{MAX_TURNS, MAX_WAITING_TURNS};
use crate::refusal::AllowList;
use crate::{
    AgentPolicy, AllowAgents, Ancestor, Asked, Budget, Deadlines, Policy, Run, SpawnRefusal,
    SpawnRequest, State, TurnRequest,
};

/// Turns a request into the run it asks for, or refuses it.
pub(crate) fn admit(
    state: &State,
    policy: &Policy,
    request: &SpawnRequest,
    now_ms: u64,
) -> Result<Run, SpawnRefusal> {
    let agent = choose_agent(policy, request)?;
    let settings = allowed_agent(policy, request, &agent)?;
    check_depth_and_children(state, policy, &request.caller)?;
    check_isolation(state, request)?;
    check_sessions(state, policy, request.runtime)?;
    check_queue(state, policy, request)?;
    check_route(state, request)?;
    let harness = match request.runtime {
        RuntimeKind::Acp => available(request, &agent, settings)?,
        RuntimeKind::Local | RuntimeKind::Isolated => None,
    };
    let model = choose_model(policy, request, settings, harness.is_some())?;
    let workspace = choose_workspace(request, settings)?;
    let lineage = lineage(state, &request.caller)?;
    let budget = check_budgets(state, policy, request, &lineage)?;
    let deadlines = deadlines(policy, request, &model);
    let conversation = match (lineage.first(), &request.asked) {
        (Some(parent), _) if parent.turn => Some(parent.session.clone()),
        (Some(parent), _) => {
            state.get(&parent.run).and_then(|above| above.run.conversation.clone())
        }
        (None, Some((session, _))) => Some(session.clone()),
        (None, None) => None,
    };
    let kind = match request.runtime {
        RuntimeKind::Acp => SessionKind::Acp,
        RuntimeKind::Local | RuntimeKind::Isolated => SessionKind::Subagent,
    };
    Ok(Run {
        id: request.run.clone(),
        session: request.session.clone(),
        session_key: SessionKey::child(&agent, kind, request.run.as_str()),
        kind,
        requester: match (lineage.first(), &conversation) {
            (Some(parent), _) => parent.session.clone(),
            (None, Some(session)) => session.clone(),
            (None, None) => SessionId::main(),
        },
        lineage,
        agent,
        runtime: request.runtime,
        model,
        harness,
        task: request.task.clone(),
        workspace,
        label: request.label.clone(),
        timeout_ms: match request.timeout_ms {
            Some(0) => None,
            Some(asked) => Some(asked),
            None => policy.run_timeout_ms,
        },
        accepted_at_ms: now_ms,
        conversation,
        asked: request.asked.as_ref().map(|(_, asked)| asked.clone()),
        starter: Some(CallerRecord::from(&request.caller)),
        deadlines,
        budget,
        route: request.route.clone(),
    })
}

/// The agent's own program, where it has one, which has to be there.
fn available(
    request: &SpawnRequest,
    agent: &AgentId,
    settings: &AgentPolicy,
) -> Result<Option<Vec<String>>, SpawnRefusal> {
    let harness = settings.harness.clone();
    match harness.as_ref().and_then(|command| command.first()) {
        Some(program) if request.missing.contains(agent) => {
            Err(SpawnRefusal::HarnessMissing { agent: agent.clone(), program: program.clone() })
        }
        _ => Ok(harness),
    }
}

/// Turns a message into the turn that answers it, or refuses it.
pub(crate) fn admit_turn(
    state: &State,
    policy: &Policy,
    request: &TurnRequest,
    now_ms: u64,
) -> Result<Run, SpawnRefusal> {
    if request.caller.grant().is_some() {
        return Err(SpawnRefusal::TurnByRun);
    }
    if request.kind.is_of_a_run() {
        return Err(SpawnRefusal::NoConversation(request.session_key.clone()));
    }
    let Some(settings) = policy.agents.get(&request.agent) else {
        let known = policy.agents.keys().cloned().collect();
        let agent = request.agent.clone();
        return Err(SpawnRefusal::AgentNotAllowed { agent, list: AllowList::Acp, known });
    };
    match state.turns_of(&request.session).count() {
        0 if state.conversations().len() >= MAX_TURNS => return Err(SpawnRefusal::TooManyTurns),
        waiting if waiting > MAX_WAITING_TURNS => return Err(SpawnRefusal::TooManyMessages),
        _ => {}
    }
    let model = request.model.as_ref().unwrap_or(&settings.model);
    usable(policy, &request.caller, model, RuntimeKind::Local)?;
    Ok(Run {
        id: request.run.clone(),
        session: request.session.clone(),
        session_key: request.session_key.clone(),
        kind: request.kind,
        requester: request.session.clone(),
        lineage: Vec::new(),
        agent: request.agent.clone(),
        runtime: RuntimeKind::Local,
        model: model.clone(),
        harness: None,
        task: request.task.clone(),
        workspace: settings.workspace.as_ref().unwrap_or(&request.caller_cwd).clone(),
        label: None,
        timeout_ms: request.timeout_ms.filter(|limit| *limit > 0),
        accepted_at_ms: now_ms,
        conversation: Some(request.session.clone()),
        asked: Some(Asked { key: request.key.clone(), turn: true }),
        starter: Some(CallerRecord::from(&request.caller)),
        deadlines: Deadlines { queue_ms: None, ..given(policy.deadlines, model) },
        budget: policy.budget,
        route: None,
    })
}

fn choose_agent(policy: &Policy, request: &SpawnRequest) -> Result<AgentId, SpawnRefusal> {
    if let Some(agent) = &request.agent {
        return Ok(agent.clone());
    }
    let requester = request.caller.grant().and_then(|grant| policy.agents.get(grant.agent()));
    if requester.is_some_and(|settings| settings.require_agent_id) {
        return Err(SpawnRefusal::AgentRequired);
    }
    Ok(match (request.runtime, &policy.acp_default_agent, request.caller.grant()) {
        (RuntimeKind::Acp, Some(agent), _) => agent.clone(),
        (_, _, Some(grant)) => grant.agent().clone(),
        (_, _, None) => policy.default_agent.clone(),
    })
}

/// The owner may use every known agent; a run its own and those its list names. The runtime
/// `acp` has a list of its own, which binds the owner too.
fn allowed_agent<'a>(
    policy: &'a Policy,
    request: &SpawnRequest,
    agent: &AgentId,
) -> Result<&'a AgentPolicy, SpawnRefusal> {
    if request.runtime == RuntimeKind::Acp && !policy.acp_enabled {
        return Err(SpawnRefusal::AcpDisabled);
    }
    let refuse = |list: AllowList, known: Vec<AgentId>| {
        Err(SpawnRefusal::AgentNotAllowed { agent: agent.clone(), list, known })
    };
    if request.runtime == RuntimeKind::Acp
        && !policy.acp_allowed.is_empty()
        && !policy.acp_allowed.contains(agent)
    {
        return refuse(AllowList::Acp, policy.acp_allowed.iter().cloned().collect());
    }
    let Some(settings) = policy.agents.get(agent) else {
        return refuse(AllowList::Acp, policy.agents.keys().cloned().collect());
    };
    if request.runtime != RuntimeKind::Acp
        && let Some(grant) = request.caller.grant()
        && grant.agent() != agent
    {
        let list = policy.agents.get(grant.agent()).map(|requester| &requester.allow_agents);
        if !list.is_some_and(|list| list.names(agent)) {
            let mut known = vec![grant.agent().clone()];
            if let Some(AllowAgents::Only(agents)) = list {
                known.extend(agents.iter().cloned());
            }
            return refuse(AllowList::Subagents, known);
        }
    }
    Ok(settings)
}

fn check_depth_and_children(
    state: &State,
    policy: &Policy,
    caller: &Caller,
) -> Result<(), SpawnRefusal> {
    let Some(grant) = caller.grant() else { return Ok(()) };
    let (depth, limit) = (grant.depth() + 1, grant.max_depth().min(policy.max_spawn_depth));
    if depth > limit {
        return Err(SpawnRefusal::DepthLimit { depth, limit });
    }
    let children = state.children_of(grant.run());
    let limit = grant.max_descendants().min(policy.max_children_per_agent);
    if children >= limit {
        return Err(SpawnRefusal::ChildLimit { children, limit });
    }
    Ok(())
}

/// What an isolated run starts is isolated too: a child never has what its parent lacks.
fn check_isolation(state: &State, request: &SpawnRequest) -> Result<(), SpawnRefusal> {
    let parent = request.caller.grant().and_then(|grant| state.get(grant.run()));
    match parent {
        Some(parent)
            if parent.run.runtime == RuntimeKind::Isolated
                && request.runtime != RuntimeKind::Isolated =>
        {
            Err(SpawnRefusal::WouldLeaveIsolation { runtime: request.runtime })
        }
        _ => Ok(()),
    }
}

/// `isolated` speaks ACP too and counts like `acp`.
fn check_sessions(
    state: &State,
    policy: &Policy,
    runtime: RuntimeKind,
) -> Result<(), SpawnRefusal> {
    let speaks_acp = |runtime| matches!(runtime, RuntimeKind::Acp | RuntimeKind::Isolated);
    let Some(limit) = policy.acp_max_sessions.filter(|_| speaks_acp(runtime)) else {
        return Ok(());
    };
    let running = state.runs().filter(|live| speaks_acp(live.run.runtime)).count();
    let running = u32::try_from(running).unwrap_or(u32::MAX);
    if running >= limit {
        return Err(SpawnRefusal::SessionLimit { running, limit });
    }
    Ok(())
}

fn check_queue(state: &State, policy: &Policy, request: &SpawnRequest) -> Result<(), SpawnRefusal> {
    let room = policy.queue_room;
    if state.queue().len() >= room.runs {
        return Err(SpawnRefusal::QueueFull { limit: room.runs });
    }
    let bytes = state.queue().task_bytes().saturating_add(request.task.bytes() as u64);
    if bytes > room.task_bytes {
        return Err(SpawnRefusal::QueueTooLarge { limit: room.task_bytes });
    }
    Ok(())
}

/// A run without a network must not reach one by having its result sent there.
fn check_route(state: &State, request: &SpawnRequest) -> Result<(), SpawnRefusal> {
    if request.route.is_none() {
        return Ok(());
    }
    if request.caller != Caller::Owner {
        return Err(SpawnRefusal::RouteOfTheOwner);
    }
    let open = state.notices().len();
    if open >= MAX_OPEN_NOTICES { Err(SpawnRefusal::TooManyNotices) } else { Ok(()) }
}

/// The budgets of the runs above have to allow one more run; its own is theirs, or less.
fn check_budgets(
    state: &State,
    policy: &Policy,
    request: &SpawnRequest,
    lineage: &[Ancestor],
) -> Result<Budget, SpawnRefusal> {
    if request.budget.concurrency == Some(0) {
        return Err(SpawnRefusal::NeverBegins);
    }
    for above in lineage {
        let Some(account) = state.account(&above.run) else { continue };
        let refuse = |part| Err(SpawnRefusal::OverBudget { of: above.run.clone(), part });
        if account.budget.descendants.is_some_and(|limit| account.descendants >= limit) {
            return refuse(BudgetPart::Descendants);
        }
        if account.is_used_up() {
            return refuse(
                account
                    .lacks(crate::Spend { tokens: 1, cost_micros: 1 })
                    .unwrap_or(BudgetPart::Tokens),
            );
        }
    }
    let inherited = match lineage.first().and_then(|parent| state.account(&parent.run)) {
        // The time of a tree is kept at its top.
        Some(parent) => Budget { wall_ms: None, ..parent.budget },
        None => policy.budget,
    };
    Ok(request.budget.narrowed_by(inherited))
}

fn deadlines(policy: &Policy, request: &SpawnRequest, model: &str) -> Deadlines {
    let defaults = given(policy.deadlines, model);
    let chosen = |asked: Option<u64>, default: Option<u64>| match asked {
        Some(0) => None,
        asked => asked.or(default),
    };
    Deadlines {
        queue_ms: chosen(request.deadlines.queue_ms, defaults.queue_ms),
        start_ms: chosen(request.deadlines.start_ms, defaults.start_ms),
        idle_ms: chosen(request.deadlines.idle_ms, defaults.idle_ms),
    }
}

/// A command may be silent and well, so the settings do not limit its silence.
fn given(defaults: Deadlines, model: &str) -> Deadlines {
    let idle_ms = defaults.idle_ms.filter(|_| model != SHELL_MODEL);
    Deadlines { idle_ms, ..defaults }
}

fn choose_workspace(
    request: &SpawnRequest,
    settings: &AgentPolicy,
) -> Result<std::path::PathBuf, SpawnRefusal> {
    let Some(grant) = request.caller.grant() else {
        let chosen = request.cwd.as_ref().or(settings.workspace.as_ref());
        return Ok(chosen.unwrap_or(&request.caller_cwd).clone());
    };
    match &request.cwd {
        Some(directory) if grant.covers(directory) => Ok(directory.clone()),
        Some(directory) => Err(SpawnRefusal::OutsideWorkspace {
            directory: directory.display().to_string(),
            workspace: grant.workspace().display().to_string(),
        }),
        None if grant.covers(&request.caller_cwd) => Ok(request.caller_cwd.clone()),
        None => Ok(grant.workspace().to_owned()),
    }
}

fn lineage(state: &State, caller: &Caller) -> Result<Vec<Ancestor>, SpawnRefusal> {
    let Some(grant) = caller.grant() else { return Ok(Vec::new()) };
    let parent = state
        .get(grant.run())
        .filter(|live| live.stopping.is_none())
        .ok_or_else(|| SpawnRefusal::CallerEnding(grant.run().clone()))?;
    let mut lineage = vec![Ancestor {
        run: parent.run.id.clone(),
        session: parent.run.session.clone(),
        turn: parent.run.is_turn(),
    }];
    lineage.extend(parent.run.lineage.iter().cloned());
    Ok(lineage)
}
