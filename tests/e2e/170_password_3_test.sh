#!/bin/bash
# A password keeps strangers out, and encrypts what containers say to each other.
source "$(dirname "$0")/../lab/lib.sh"

lab_up 3
everywhere sh -c 'echo "correct horse battery" >/etc/weft-password'
on h3 sh -c 'echo "wrong horse battery" >/etc/weft-password'

step "peers with the same password meet, authenticated"
secured=(--no-docker --password-file /etc/weft-password)
launch h1 "${secured[@]}"
launch h2 "${secured[@]}" h1
wait_until 20 "h1 and h2 meet" reaches h1 2
status_is h2 '.router.authenticated and ([.router.connections[] | select(.state == "established")] | length > 0 and all(.authenticated))' ||
  fail "the connection is not authenticated"
status_is h2 '.router.data_encrypted' || fail "status does not say that data is encrypted"

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

step "--plaintext-data leaves containers' traffic in clear, and status says so"
everywhere weft stop
launch_all "${secured[@]}" --plaintext-data
status_is h1 '.router.authenticated and (.router.data_encrypted | not)' || fail "status does not say so"

step "without any password, status says that peers are not authenticated"
everywhere weft stop
launch_all --no-docker
status_is h1 '.router.authenticated | not' || fail "status does not say so"
assert_contains "$(on h1 weft status)" "unauthenticated" "text of status"
