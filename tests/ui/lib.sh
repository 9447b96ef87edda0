# shellcheck shell=bash
# What tests of the web UI begin with: a folder with Playwright in it, a Chromium, and two hosts whose containers
# talk to each other. Sourced after tests/lab/lib.sh.

UI_TESTS=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")")
BUILD=${UI_TEST_BUILD:-$SCRATCH/ui}
# shellcheck disable=SC2034  # Read by those who source this.
CHROMIUM=$(command -v chromium || command -v chromium-browser) || fail "chromium is missing (./run test ui installs it)"

install_playwright() {
  mkdir -p "$BUILD"
  cp "$UI_TESTS"/{package.json,package-lock.json,.npmrc,*.mjs} "$BUILD"
  # npm notes here what it has installed; an older note is of other packages.
  [[ $BUILD/node_modules/.package-lock.json -nt $UI_TESTS/package-lock.json ]] || npm --prefix "$BUILD" ci --prefer-offline --no-audit --no-fund --loglevel=error
}

# web on h1 asks db on h2, in one connection that lasts and many that do not.
talking_containers() {
  network_everywhere weft-net
  container h1 web weft-net
  container h2 db weft-net
  on h2 docker exec -d db socat TCP-LISTEN:5432,fork,reuseaddr EXEC:cat
  wait_until 20 "the server in db listens" inside h2 db sh -c 'netstat -tln | grep -q :5432'
  on h1 docker exec -d web sh -c "while :; do (while :; do echo hello; sleep 0.2; done) | socat - TCP:$(address_of h2 db):5432 >/dev/null; sleep 1; done"
  on h1 docker exec -d web sh -c "while :; do echo short | socat - TCP:$(address_of h2 db):5432 >/dev/null; sleep 0.5; done"
}

# In the view of processes the connection leads to the server that listens, whichever of its children has it.
process_edge() {
  on h1 curl -sf --unix-socket /run/weft/weft.sock http://weft/api/topology/processes | jq -e '
    def within($container): .label == "socat" and any(.parents[]; .topologyId == "containers" and .label == $container);
    [.nodes[] | select(within("db")) | .id] as $servers
    | any(.nodes[] | select(within("web")) | (.adjacency // [])[]; . as $to | $servers | index($to))' >/dev/null
}
