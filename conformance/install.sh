# Installs the clients, the Node.js they need and a browser, below this directory at the versions of
# the lock files, or as packages of the system. Sourced by `run`.

as_root() {
  if ((EUID == 0)); then "$@"; else sudo --non-interactive "$@"; fi
}

# provide COMMAND PACKAGE…: installs the packages unless there is the command.
provide() {
  command -v "$1" >/dev/null && return
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${@:2}" >/dev/null
}

# install_in DIRECTORY: what its package.json and package-lock.json say.
install_in() {
  # What is installed already at these versions stays.
  cmp --silent "$1/package-lock.json" "$1/node_modules/.installed" && return
  # npm only fetches and unpacks here; its own Node.js may be older than the clients need. Not
  # `npm ci`: it wants every platform's packages in the lock file, and some are not published.
  (cd "$1" && npm install --no-save --omit=dev --no-audit --no-fund --ignore-scripts --loglevel=error)
  cp "$1/package-lock.json" "$1/node_modules/.installed"
}

install_clients() {
  local directory pid pids=()
  provide npm nodejs npm
  provide chromium chromium
  for directory in . openclaw-*/; do
    install_in "$directory" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}
