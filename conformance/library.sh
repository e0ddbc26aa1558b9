# The cases of OpenClaw's client library, @openclaw/gateway-client. Sourced by `run`.

# library SCRIPT: one of the scripts here, through the tap.
library() { "$node" "$here/$1" "$client_port" "$token"; }

library_talks() {
  start_gateway
  tap
  library talks.mjs
  check_frames
}

library_keeps_its_token() {
  start_gateway
  tap
  library keeps-its-token.mjs
  check_frames
}

library_reconnects() {
  start_gateway
  "$node" "$here/reconnects.mjs" "$gateway_port" "$token" >said &
  local client=$!
  ends+=("$client")
  shows connected said
  restart_gateway
  wait "$client"
}

library_serves_as_a_node() {
  start_gateway
  tap
  library serves-as-node.mjs
  check_frames
}

library_uses_a_setup_code() {
  start_gateway
  tap
  hatchery pair --json >code
  "$node" "$here/uses-a-setup-code.mjs" "$client_port" \
    "$("$node" -p 'JSON.parse(fs.readFileSync("code")).setupCode')"
  check_frames
}

library_calls_everything() {
  start_gateway
  tap
  library everything.mjs
  check_frames
}
