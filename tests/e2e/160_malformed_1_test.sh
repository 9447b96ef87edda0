#!/bin/bash
# Nonsense from the engine, from scripts and from strangers is refused with a reason and changes nothing.
source "$(dirname "$0")/../lab/lib.sh"

call() {  # PATH BODY
  on h1 curl -s --max-time 5 --unix-socket /run/docker/plugins/weft.sock -d "$2" "http://plugin/$1"
}

state() { on h1 weft status --json | jq -c '[.docker, .ipam.ranges]'; }

exit_code() {
  local code=0
  "$@" >"$SCRATCH/said" 2>&1 || code=$?
  echo "$code"
}

lab_up 1 --docker
on h1 groupadd weft
launch h1
on h1 docker network create -d weft --ipam-driver weft weft-net >/dev/null
container h1 c1 weft-net
before=$(state)

step "malformed plugin calls are answered with Err"
for path in NetworkDriver.CreateNetwork NetworkDriver.DeleteNetwork NetworkDriver.CreateEndpoint NetworkDriver.DeleteEndpoint \
  NetworkDriver.EndpointOperInfo NetworkDriver.Join NetworkDriver.Leave IpamDriver.RequestPool IpamDriver.ReleasePool \
  IpamDriver.RequestAddress IpamDriver.ReleaseAddress; do
  for body in '' '{' '[]' 'null' '"text"' '{"NetworkID": 7}' '{"EndpointID": [], "PoolID": {}, "Address": 1}'; do
    call "$path" "$body" >"$SCRATCH/answer"
    jq -e '.Err | strings | length > 0' "$SCRATCH/answer" >/dev/null || {
      # A pool needs nothing to be asked for: any object will do.
      [[ $path == IpamDriver.RequestPool && $body == '{'*'}' ]] || fail "$path with '$body' answered '$(cat "$SCRATCH/answer")'"
    }
  done
done
call NetworkDriver.Unknown '{}' | jq -e .Err >/dev/null
call ../../etc/passwd '{}' | jq -e .Err >/dev/null
head -c 20000000 /dev/zero | on h1 curl -s -o /dev/null --max-time 10 --unix-socket /run/docker/plugins/weft.sock --data-binary @- \
  http://plugin/NetworkDriver.Join || true
assert_equal "$(state)" "$before" "state after malformed calls"
inside h1 c1 true
container h1 c2 weft-net

step "strangers on the mesh's port are dropped, and the agent lives on"
head -c 100000 /dev/urandom | on h1 socat -u - TCP:127.0.0.1:6783 2>/dev/null || true
on h1 weft status >/dev/null

step "mistakes on the command line have the documented exit codes, and say what was meant"
assert_equal "$(exit_code on h1 weft launch --pasword-file x)" 2 "unknown flag"
assert_contains "$(cat "$SCRATCH/said")" "--password-file" "nearest flag"
assert_equal "$(exit_code on h1 weft stats)" 2 "unknown command"
assert_equal "$(exit_code on h1 weft launch)" 3 "second launch"
on h1 weft stop
assert_equal "$(exit_code on h1 weft status)" 4 "status without an agent"
assert_equal "$(exit_code on h1 weft launch --ipalloc-range 198.18.0.0/16)" 1 "range over a host route"
assert_contains "$(cat "$SCRATCH/said")" "198.18.0.0/24" "the route is named"
assert_equal "$(exit_code on h1 weft version)" 0 "version"

step "the control socket is for root and group weft"
launch h1
assert_equal "$(on h1 stat -c '%U:%G %a' /run/weft/weft.sock)" "root:weft 660" "permissions"
assert_equal "$(exit_code on h1 setpriv --reuid 65534 --regid 65534 --clear-groups weft status)" 5 "status as nobody"
