# The cases of acpx, a command-line client for ACP agents. Sourced by `run`.
# A case is a function; it fails with the first command that fails.

# with_acpx AGENT WORDS…: with this command as the agent and nothing of the environment.
with_acpx() {
  timeout --kill-after=5 60 env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$HOME" LANG=C.UTF-8 \
    "$node" "$here/node_modules/acpx/dist/cli.js" --agent "$@"
}

# acpx WORDS…: the same with our agent.
acpx() { with_acpx "'$hatchery' agent" "$@"; }

# json WORDS…: the same, with the ACP messages on standard output.
json() { acpx --format json --json-strict "$@"; }

# answer WORDS…: the same, with only the agent's answer on standard output.
answer() { acpx --format quiet "$@"; }

# Between prompts acpx keeps a process per session, which must not outlive the case.
close_acpx_sessions() {
  local record
  for record in .acpx/sessions/*.json; do
    [[ -e $record ]] || continue
    name=$("$node" -p 'JSON.parse(fs.readFileSync(process.argv[1])).name ?? ""' "$record")
    acpx sessions close ${name:+"$name"} || true
  done
}

# The words with which a command of a prompt names itself, or another of its processes. A number alone
# says little: the command may be in a namespace where it has another than here.
itself='$$ $(readlink /proc/self/ns/pid)'
latest='$! $(readlink /proc/self/ns/pid)'

# The process id here of what a command has named in the pipe `started`.
started() {
  local number namespace status
  read -r -t 30 number namespace <>started
  for status in /proc/[0-9]*/status; do
    status=${status%/status}
    if [[ $(readlink "$status/ns/pid") == "$namespace" ]] &&
      [[ $(sed -n 's/^NSpid:.*\t//p' "$status/status" 2>/dev/null) == "$number" ]]; then
      echo "${status#/proc/}"
      return
    fi
  done
  return 1
}

parent() { sed -n 's/^PPid:\t//p' "/proc/$1/status"; }

# The agent that runs a command: between the two is the command's keeper, and its init where it has a
# namespace of its own.
agent_of() {
  local above
  above=$(parent "$1")
  until tr '\0' ' ' <"/proc/$above/cmdline" | grep --quiet ' agent'; do above=$(parent "$above"); done
  echo "$above"
}

acpx_greets_us() {
  json exec 'true' >messages
  holds 'answers[0].result.protocolVersion === 1' <messages
  holds 'answers[0].result.agentInfo.name === "hatchery"' <messages
  holds 'answers[0].result.authMethods.length === 0' <messages
  holds 'result.stopReason === "end_turn"' <messages
}

acpx_sees_a_command_with_its_output_between() {
  json exec 'echo one; echo two >&2' >messages
  holds 'updates[0].sessionUpdate === "tool_call"' <messages
  holds 'updates[0].kind === "execute" && updates[0].status === "in_progress"' <messages
  holds 'updates.at(-1).sessionUpdate === "tool_call_update"' <messages
  holds 'updates.at(-1).status === "completed"' <messages
  holds 'updates.at(-1).toolCallId === updates[0].toolCallId' <messages
  holds 'text.split("\n").toSorted().join() === ",one,two"' <messages
  holds 'result._meta.hatchery.exitCode === 0' <messages
}

acpx_sees_a_command_fail() {
  json exec 'echo before; exit 3' >messages
  holds 'updates.at(-1).status === "failed"' <messages
  holds 'updates.at(-1).rawOutput.exitCode === 3' <messages
  holds 'text === "before\n"' <messages
  holds 'result.stopReason === "end_turn" && result._meta.hatchery.exitCode === 3' <messages
}

acpx_tells_a_person() {
  acpx exec 'echo hello; exit 3' >said
  grep --line-regexp hello said
  grep --fixed-strings 'echo hello; exit 3 (failed)' said
  grep --fixed-strings '[done] end_turn' said
}

acpx_names_the_directory() {
  mkdir 'a directory'
  answer --cwd 'a directory' exec pwd | is "$HOME/a directory"
}

acpx_sends_a_script() {
  printf '%s\n' 'for word in grüße 世界' 'do echo "$word"' 'done' >script
  answer exec --file script | is $'grüße\n世界'
}

acpx_gets_every_line() {
  answer exec 'seq 100000' >lines
  seq 100000 | cmp - lines
}

acpx_needs_no_files_or_terminals_for_it() {
  answer --no-fs --no-terminal --deny-all exec 'echo hello' | is hello
}

acpx_keeps_a_session() {
  acpx sessions new
  answer prompt 'echo one' | is one
  json prompt 'echo two' >messages
  # The same agent goes on: nothing is opened anew.
  holds '!frames.some((frame) => frame.method === "session/new")' <messages
  holds 'text === "two\n" && result.stopReason === "end_turn"' <messages
  acpx sessions read >history
  grep --fixed-strings 'echo one' history
  grep --fixed-strings 'echo two' history
}

acpx_tells_sessions_apart() {
  acpx sessions new
  acpx sessions new --name second
  answer prompt 'echo one' | is one
  answer prompt --session second 'echo two' | is two
  acpx sessions read second >history
  grep --fixed-strings 'echo two' history
  fails grep --fixed-strings 'echo one' history
}

acpx_cancels() {
  local pid
  mkfifo started
  acpx sessions new
  json prompt 'trap "" TERM; echo '"$itself"' >started; while :; do sleep 1000; done' >messages &
  pid=$(started)
  json cancel | holds 'frames[0].cancelled === true'
  wait $!
  holds 'result.stopReason === "cancelled"' <messages
  holds 'updates.at(-1).status === "failed"' <messages
  # No patience: the answer means that it is over.
  fails kill -0 "$pid"
  answer prompt 'echo next' | is next
}

acpx_queues_prompts() {
  local pid
  mkfifo started go second
  acpx sessions new
  json prompt "echo $itself >started; cat go" >messages &
  pid=$(started)
  acpx prompt --no-wait 'echo second >second'
  kill -0 "$pid"
  echo first >go
  wait $!
  holds 'text === "first\n"' <messages
  timeout 30 cat second | is second
}

acpx_survives_the_end_of_the_agent() {
  local pid agent
  mkfifo started
  acpx sessions new
  json prompt "echo $itself >started; exec sleep 1000" >messages 2>errors &
  pid=$(started)
  agent=$(agent_of "$pid")
  kill -KILL "$agent"
  fails wait $!
  gone "$agent" "$pid"
  answer prompt 'echo again' | is again
}

acpx_closes_a_session() {
  local pid agent owner
  mkfifo started
  acpx sessions new
  json prompt "echo $itself >started; exec sleep 1000" >messages 2>errors &
  pid=$(started)
  agent=$(agent_of "$pid")
  owner=$(parent "$agent")
  # acpx means the same process.
  json status | holds "frames[0].pid === $owner"
  acpx sessions close
  gone "$pid" "$agent" "$owner"
}

acpx_is_killed() {
  local pid
  mkfifo started
  env -i PATH=/usr/bin:/bin HOME="$HOME" "$node" "$here/node_modules/acpx/dist/cli.js" \
    --agent "'$hatchery' agent" exec "setsid sleep 1000 & echo $latest >started; wait" &
  pid=$(started)
  kill -KILL $!
  gone "$pid"
}

acpx_has_had_enough() {
  local pid
  mkfifo started
  fails json --timeout 5 exec "echo $itself >started; exec sleep 1000" >messages &
  pid=$(started)
  wait $!
  gone "$pid"
}

acpx_asks_for_what_we_do_not_have() {
  acpx sessions new
  answer prompt 'echo one' | is one
  fails acpx set-mode reckless
  answer prompt 'echo two' | is two
}
