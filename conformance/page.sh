# The Control UI of OpenClaw as we serve it from the npm package, in a browser. Sourced by `run`.

page_chats() {
  local request
  start_gateway "controlUi: { root: '$here/openclaw-$version/node_modules/openclaw/dist/control-ui' }"
  "$node" "$here/page.mjs" "$(command -v chromium)" "$gateway_port" "$token" frames >page.log 2>&1 &
  page=$!
  ends+=("$page")
  # A browser is no terminal of the owner: it waits until it is approved.
  shows 'asks ' page.log
  request=$(sed -n 's/^asks //p' page.log | head --lines=1)
  hatchery devices list
  hatchery devices approve "$request"
  if ! wait "$page"; then
    cat page.log
    return 1
  fi
  check_frames
}

for_both_versions page_chats
