# The cases of OpenClaw's own command line, in a version that speaks protocol 4 and in one that speaks
# protocol 3. Sourced by `run`. A function `cli_…` is one case for each of the two.

# program: the command of the case's version.
program() { echo "$here/openclaw-$version/node_modules/openclaw/openclaw.mjs"; }

# openclaw WORDS…: the command with nothing of the environment.
openclaw() {
  timeout --kill-after=5 180 env -i PATH="${node%/*}:/usr/bin:/bin" HOME="$HOME/client" LANG=C.UTF-8 \
    "$node" "$(program)" "$@"
}

# client_settings: an OpenClaw that was set up here for a gateway on this port and with this token.
client_settings() {
  mkdir -p client/.openclaw
  cat >client/.openclaw/openclaw.json <<SETTINGS
{
  "gateway": {
    "mode": "local",
    "port": $client_port,
    "auth": { "mode": "token", "token": "$token" }
  },
  "logging": { "file": "$HOME/client/log" }
}
SETTINGS
}

# start_all [GATEWAY_KEYS]: a gateway, a tap, and a client that is set up for them.
start_all() {
  start_gateway "$@"
  tap
  client_settings
}

# never_refused FILE…: nobody was asked to pair.
never_refused() {
  local status=0
  grep --ignore-case --extended-regexp '\(1008\)|pairing required|NOT_PAIRED' "$@" || status=$?
  # Not found, and no other fault.
  ((status == 1))
}

cli_knows_its_health() {
  start_all
  openclaw gateway health >said
  grep --fixed-strings OK said
  openclaw gateway health --json >health
  true_of health 'it.ok === true'
  check_frames
}

cli_probes() {
  start_all
  openclaw gateway probe --json >probe
  true_of probe 'it.ok === true' 'it.targets.some((target) => target.connect.ok)'
  check_frames
}

cli_calls() {
  start_all
  openclaw gateway call sessions.list --json >sessions
  true_of sessions 'Array.isArray(it.sessions)' 'it.count === it.sessions.length'
  fails openclaw gateway call no.such.method >said 2>&1
  grep --fixed-strings 'unknown method: no.such.method' said
  check_frames
}

cli_reads_the_log() {
  start_all
  openclaw logs --plain --limit 100 >said
  grep --fixed-strings "Gateway started on port $gateway_port" said
  check_frames
}

cli_runs_a_turn() {
  start_all
  openclaw agent --agent main --message 'hello there' --json >turn
  true_of turn 'it.status === "ok"' 'it.result.payloads[0].text === "echo: hello there"'
  check_frames
}

cli_runs_a_turn_that_others_watch() {
  start_all
  "$node" "$here/watch.mjs" "$gateway_port" "$token" 'echo: one two three' >watched &
  ends+=($!)
  shows watching watched
  openclaw agent --agent main --message 'one two three'
  shows 'chat final' watched
  grep --fixed-strings 'agent assistant' watched
  (($(grep --count 'chat delta' watched) >= 2))
}

# A device of its own, with an Origin as a page has it, asks and is answered.
cli_manages_devices() {
  local id request
  start_all
  ask() { "$node" "$here/ask.mjs" "$gateway_port" "$token" "$1" >"$2"; }
  ask one asked
  true_of asked 'it.code === "PAIRING_REQUIRED"'
  request=$("$node" -p 'JSON.parse(fs.readFileSync("asked")).requestId')
  openclaw devices list --json >devices
  true_of devices "it.pending.some((one) => one.requestId === '$request')"
  # The same ask has the same id.
  ask one asked
  true_of asked "it.requestId === '$request'"
  openclaw devices approve "$request"
  ask one asked
  true_of asked 'it.hello.auth.scopes.join() === "operator.read"' 'it.hello.auth.deviceToken.length > 30'
  id=$("$node" -p 'JSON.parse(fs.readFileSync("asked")).deviceId')
  openclaw devices list --json >devices
  true_of devices "it.paired.some((one) => one.deviceId === '$id')" 'it.pending.length === 0'

  openclaw devices rotate --device "$id" --role operator
  "$node" "$here/ask.mjs" "$gateway_port" - one >asked
  true_of asked 'it.code === "AUTH_DEVICE_TOKEN_MISMATCH"'
  openclaw devices revoke --device "$id" --role operator
  ask one asked
  true_of asked 'it.code === "PAIRING_REQUIRED"'

  ask two asked
  request=$("$node" -p 'JSON.parse(fs.readFileSync("asked")).requestId')
  openclaw devices reject "$request"
  openclaw devices remove "$id"
  openclaw devices list --json >devices
  true_of devices "!it.paired.some((one) => one.deviceId === '$id')" \
    "!it.pending.some((one) => one.requestId === '$request')"
  fails grep --recursive --fixed-strings 'local fallback' .
  check_frames
}

cli_chats_in_a_terminal() {
  start_all
  mkfifo keys
  printf -v command '%q ' env -i PATH="${node%/*}:/usr/bin:/bin" HOME="$HOME/client" LANG=C.UTF-8 \
    TERM=xterm-256color "$node" "$(program)" tui
  SHELL=/bin/sh script --quiet --flush --command "stty rows 40 cols 120; exec $command" screen \
    <keys >/dev/null &
  ends+=($!)
  exec 3>keys
  shows connected screen
  printf 'hello there' >&3
  shows 'hello there' screen
  printf '\r' >&3
  shows 'echo: hello there' screen
  exec 3>&-
  check_frames
}

# `openclaw acp` is an ACP agent on standard input and output that passes everything to the gateway.
cli_bridges_acp() {
  start_all
  HOME=$HOME/client with_acpx "'$node' '$(program)' acp --no-prefix-cwd" \
    --format json --json-strict exec 'hello there' >messages
  holds 'answers[0].result.agentInfo.name === "openclaw-acp"' <messages
  # The older version puts the directory before the prompt whatever it is told.
  holds '/^echo: .*hello there$/s.test(text) && result.stopReason === "end_turn"' <messages
  check_frames
}

for_both_versions() {
  local name
  for name; do
    eval "v4_$name() { version=2026.9.6; $name; }"
    eval "v3_$name() { version=2026.4.12; $name; }"
  done
}
mapfile -t both < <(declare -F | sed -nE 's/^declare -f (cli_.*)/\1/p')
for_both_versions "${both[@]}"
