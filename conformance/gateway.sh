# A gateway of ours for one case, with a model server behind it and, where a case wants it, a tap in
# front. Sourced by `run`. Everything is in the case's own directory and ends with the case.

token=0f9c2a4d7be84c51a6d83e1f5b70c92e
# Where the gateway listens, and where clients connect to: the tap, or the gateway itself.
gateway_port= client_port=
# Processes to end with the case.
ends=()

# until_true SECONDS COMMAND…: it succeeds, soon. In a shell of its own, so that a log of what a case does
# has one line of it.
until_true() {
  timeout "$1" bash -c 'until "$@" 2>/dev/null; do sleep 0.1; done' - "${@:2}"
}

# appears FILE: it exists and is not empty, soon.
appears() { until_true 30 test -s "$1"; }

# shows TEXT FILE [SECONDS]: the file has this text, soon.
shows() {
  until_true "${3:-60}" grep --quiet --text --fixed-strings -- "$1" "$2"
}

# gateway_settings [GATEWAY_KEYS]: writes our configuration, with these keys in `gateway` besides.
gateway_settings() {
  cat >gateway.json5 <<SETTINGS
{
  gateway: { auth: { mode: "token", token: "$token" }, $* },
  agents: { defaults: { model: "mock/echo" } },
  models: {
    providers: {
      mock: {
        baseUrl: "http://127.0.0.1:$(cat model.port)/v1",
        apiKey: "none",
        api: "openai-completions",
        models: [{ id: "echo", name: "Echo", contextWindow: 128000, maxTokens: 4096 }],
      },
    },
  },
}
SETTINGS
}

start_model() {
  "$node" "$here/model.mjs" model.port 2>model.log &
  ends+=($!)
  appears model.port
}

# hatchery WORDS…: our command, as the owner of the case's gateway.
hatchery() { "${as_owner[@]}" "$@"; }

# run_gateway: starts it with the settings there are; the second time on the port of the first.
run_gateway() {
  : >gateway.log
  "${as_owner[@]}" gateway run --port "${gateway_port:-0}" >>gateway.log 2>&1 &
  gateway=$!
  ends+=("$gateway")
  until_true 30 bash -c 'grep --quiet "Gateway started" gateway.log || ! kill -0 "$1"' - "$gateway"
  kill -0 "$gateway"
  gateway_port=$(sed -n 's/.*Gateway started on port \([0-9]*\).*/\1/p' gateway.log)
  client_port=${client_port:-$gateway_port}
}

restart_gateway() {
  kill "$gateway"
  wait "$gateway" || true
  run_gateway
}

# start_gateway [GATEWAY_KEYS]: a model server, and a gateway that uses it.
start_gateway() {
  as_owner=(env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$HOME" LANG=C.UTF-8
    HATCHERY_CONFIG_PATH="$HOME/gateway.json5" HATCHERY_STATE_DIR="$HOME/state" "$hatchery")
  start_model
  gateway_settings "$@"
  run_gateway
}

# tap: from here on, clients of the case go through the tap.
tap() {
  "$node" "$here/tap.mjs" tap.port "$gateway_port" "$HOME/frames" 2>tap.log &
  ends+=($!)
  appears tap.port
  client_port=$(cat tap.port)
}

# check_frames: what passed the tap is what the published schemas allow.
check_frames() { "$node" "$here/check-frames.mjs" "$HOME/frames"; }

# After a case: what it started ends, and a failure shows what there is.
end_case() {
  local status=$? file
  set +ex
  close_acpx_sessions
  ((${#ends[@]})) && kill "${ends[@]}" 2>/dev/null
  wait
  ((status == 0)) && return
  for file in *; do
    [[ -f $file && -s $file && $file != *.port && $file != *.json* ]] || continue
    echo "--- the end of $file"
    tail --lines=12 "$file" | cut --bytes=-300
  done
}
