# What breaks the spawning of sub-agents in OpenClaw 2026.4.12, done to a gateway of ours with the real
# clients. Sourced by `run`. A function `spawns_…` is one case for each of the two versions.

# call METHOD PARAMS: with the command line of OpenClaw.
call() { openclaw gateway call "$1" --params "$2" --json 2>>said; }

# spawn_works: a message in the chat starts a sub-agent, and its result comes back to the chat.
spawn_works() {
  local tries
  spawned=$((${spawned:-0} + 1))
  call chat.send "{\"sessionKey\":\"main\",\"message\":\"/subagents spawn main task number $spawned\",\"idempotencyKey\":\"spawn-$spawned\"}" >sent
  for ((tries = 0; tries < 20; tries++)); do
    call chat.history '{"sessionKey":"main"}' >history
    grep --quiet --fixed-strings "echo: task number $spawned" history && break
  done
  grep --fixed-strings "echo: task number $spawned" history
  call sessions.list '{}' >sessions
  true_of sessions 'it.sessions.some((row) => row.key.startsWith("agent:main:subagent:") && row.status === "done")'
  never_refused said sent history
}

spawns_at_first() {
  start_all
  spawn_works
  check_frames
}

spawns_after_status() {
  start_all
  openclaw status >said 2>&1
  spawn_works
  openclaw gateway health
  openclaw devices list
  restart_gateway
  spawn_works
  check_frames
}

spawns_after_a_probe() {
  start_all
  openclaw gateway probe >said 2>&1
  spawn_works
  openclaw devices clear --yes --pending >>said 2>&1
  spawn_works
  hatchery devices clear --yes
  spawn_works
  restart_gateway
  openclaw gateway health
  spawn_works
  check_frames
}

# The state directory of the client came from another kind of machine: the gateway knows its key with
# another platform.
spawns_for_a_client_that_moved() {
  start_all
  openclaw gateway health
  "$node" "$here/moved.mjs" "$gateway_port" "$token" client/.openclaw/identity/device.json
  spawn_works
  openclaw gateway health
  restart_gateway
  spawn_works
  check_frames
}

mapfile -t both < <(declare -F | sed -nE 's/^declare -f (spawns_.*)/\1/p')
for_both_versions "${both[@]}"
