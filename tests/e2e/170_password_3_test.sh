#!/bin/bash
# A password keeps strangers out, and nothing travels in clear behind the operator's back.
source "$(dirname "$0")/../lab/lib.sh"

exit_code() {
  local code=0
  "$@" >"$SCRATCH/said" 2>&1 || code=$?
  echo "$code"
}

lab_up 3
everywhere sh -c 'echo "correct horse battery" >/etc/weft-password'
on h3 sh -c 'echo "wrong horse battery" >/etc/weft-password'

step "a password without --plaintext-data is refused, with the reason"
assert_equal "$(exit_code on h1 weft launch --no-docker --password-file /etc/weft-password)" 6 "exit code"
assert_contains "$(cat "$SCRATCH/said")" "--plaintext-data" "the way out is named"

step "peers with the same password meet, authenticated"
secured=(--no-docker --password-file /etc/weft-password --plaintext-data)
launch h1 "${secured[@]}"
launch h2 "${secured[@]}" h1
wait_until 20 "h1 and h2 meet" reaches h1 2
status_is h2 '.router.authenticated and ([.router.connections[] | select(.state == "established")] | length > 0 and all(.authenticated))' ||
  fail "the connection is not authenticated"

step "a peer with another password is refused, and says why"
launch h3 "${secured[@]}" h1
wait_until 20 "h3 shows the failure" status_is h3 '[.router.connections[] | select(.state != "established" and .reason != "")] | length > 0'
reaches h1 2 || fail "h1 let h3 in"
reaches h3 1 || fail "h3 got in"

step "so is a peer without a password"
on h3 weft stop
launch h3 --no-docker h1
wait_until 20 "h3 shows the failure" status_is h3 '[.router.connections[] | select(.state != "established" and .reason != "")] | length > 0'
reaches h1 2 || fail "h1 let h3 in"

step "with the right password it is let in"
on h3 weft stop
on h3 sh -c 'echo "correct horse battery" >/etc/weft-password'
launch h3 "${secured[@]}" h1
wait_until 30 "all three meet" all_reachable

step "without any password, status says that peers are not authenticated"
everywhere weft stop
launch_all --no-docker
status_is h1 '.router.authenticated | not' || fail "status does not say so"
assert_contains "$(on h1 weft status)" "unauthenticated" "text of status"
