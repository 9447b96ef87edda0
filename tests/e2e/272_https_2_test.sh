#!/bin/bash
# The control API beyond loopback: TLS and a token, for curl and for the commands of another host.
source "$(dirname "$0")/../lab/lib.sh"

TOKEN=correct-horse-battery
ADDRESS=198.18.0.1

code() { on h2 curl -s --max-time 10 -o /dev/null -w '%{http_code}' "$@" || true; }
# What a command on h2 says and how it ends, with these options for where and whom to believe.
remote() {  # COMMAND… with $OPTIONS.
  local status=0
  # shellcheck disable=SC2086  # One word per option.
  said=$(on h2 weft "$@" --http-addr "https://$ADDRESS" $OPTIONS 2>&1) || status=$?
  echo "exit $status: $said"
}

lab_up 2
on h1 sh -c "echo $TOKEN >/run/token; echo wrong-horse-battery >/run/wrong; echo short >/run/short; chmod 600 /run/token /run/wrong /run/short"
on h2 sh -c "echo $TOKEN >/run/token-h2; echo wrong-horse-battery >/run/wrong-h2; chmod 600 /run/token-h2 /run/wrong-h2"

step "without a token, or with a bad one, nothing is served beyond loopback"
assert_fails launch h1 --http-addr 0.0.0.0:6784 >"$SCRATCH/refused" 2>&1
assert_contains "$(cat "$SCRATCH/refused")" "--http-token-file" "what is missing"
assert_fails launch h1 --http-addr 0.0.0.0:6784 --http-token-file /run/short >"$SCRATCH/refused" 2>&1
assert_contains "$(cat "$SCRATCH/refused")" "expected 16 to 256" "how long a token is"

step "curl needs the certificate and the token"
launch h1 --http-addr 0.0.0.0:6784 --http-token-file /run/token --name 0a:00:00:00:00:01
assert_equal "$(code -k "https://$ADDRESS:6784/status")" 401 "nobody's token"
assert_equal "$(code -k -H "Authorization: Bearer wrong-horse-battery" "https://$ADDRESS:6784/status")" 401 "a wrong one"
assert_equal "$(code -k -H "Authorization: Bearer $TOKEN" "https://$ADDRESS:6784/status")" 200 "the token"
assert_equal "$(code -k -H "Authorization: Bearer $TOKEN" -H 'Origin: https://evil.example' "https://$ADDRESS:6784/status")" 403 "a page"
assert_equal "$(code "https://$ADDRESS:6784/status")" 000 "a certificate that nobody signed"
assert_equal "$(code "http://$ADDRESS:6784/status")" 000 "no TLS"
taken=$(on h2 curl -sfk --max-time 10 -X POST -H "Authorization: Bearer $TOKEN" "https://$ADDRESS:6784/ip/far-away")
assert_contains "$taken" "10.32." "an address over TLS"

step "commands of another host, who compares the fingerprint"
fingerprint=$(on h1 sed -n 's/.*control API.*certificate_sha256="\?\([0-9A-F:]*\).*/\1/p' /var/log/weft.log | tail -n 1)
[[ -n $fingerprint ]] || fail "no fingerprint in the log: $(on h1 grep 'control API' /var/log/weft.log)"
OPTIONS="--http-token-file /run/token-h2 --http-fingerprint $fingerprint"
assert_contains "$(remote status peers)" 0a:00:00:00:00:01 "the peers of the other host"
assert_contains "$(remote connect 198.18.0.99)" "exit 0" "a target from afar"
assert_contains "$(remote status targets)" 198.18.0.99 "its target"
assert_contains "$(remote forget 198.18.0.99)" "exit 0" "a target from afar is forgotten"
assert_contains "$(remote report -f '{{.Router.Name}}')" 0a:00:00:00:00:01 "a report"
assert_contains "$(remote prime)" "exit 0" "a ring"
on h2 env WEFT_HTTP_ADDR="https://$ADDRESS:6784" WEFT_HTTP_TOKEN_FILE=/run/token-h2 WEFT_HTTP_FINGERPRINT="$fingerprint" \
  weft status >/dev/null

step "names and exposed subnets of the other host, and what is for its own host alone"
assert_equal "$(remote dns-add 10.32.99.1 -h far)" "exit 0: " "a name from afar"
assert_equal "$(remote dns-lookup FAR)" "exit 0: 10.32.99.1" "its address"
assert_equal "$(remote dns-lookup 10.32.99.1)" "exit 0: far.weft.local." "the name of its address"
assert_contains "$(remote dns-args)" "--dns-search=weft.local." "what docker run there needs"
assert_contains "$(remote dns-add web -h far)" "exit 2: weft: \"web\" is no address, and containers are found on their own host" "a container from afar"
assert_equal "$(remote dns-remove 10.32.99.1)" "exit 0: " "the name is taken back"
assert_equal "$(remote dns-lookup far)" "exit 0: " "no address"
exposed=$(remote expose)
assert_contains "$exposed" "exit 0: 10.32." "an exposed address"
assert_contains "$(on h1 weft ps)" "${exposed#exit 0: }/" "what the host itself says"
assert_equal "$(remote hide)" "$exposed" "it is hidden"
assert_equal "$(on h1 weft ps)" "weave:expose 0a:00:00:00:00:01" "nothing is exposed"
assert_contains "$(remote attach web)" "exit 2: weft: attach takes no --http-addr" "containers of another host"
assert_equal "$(on h2 curl -sk -o /dev/null -w '%{http_code}' -X POST -H "Authorization: Bearer $TOKEN" "https://$ADDRESS:6784/weft/attach/x?netns=/proc/1/ns/net")" 404 "whoever brings the token"
assert_fails on h2 env "WEFT_HTTP_ADDR=https://$ADDRESS" weft stop >"$SCRATCH/refused" 2>&1
assert_contains "$(cat "$SCRATCH/refused")" "WEFT_HTTP_ADDR is https://$ADDRESS" "who would have stopped this host's agent"

step "what does not fit is said, and nothing is believed in its place"
OPTIONS="--http-token-file /run/wrong-h2 --http-fingerprint $fingerprint"
assert_contains "$(remote status)" "exit 5: weft: https://$ADDRESS refuses the token" "a wrong token"
OPTIONS="--http-fingerprint $fingerprint"
assert_contains "$(remote status)" "refuses who has no token" "no token"
OPTIONS="--http-token-file /run/token-h2 --http-fingerprint ${fingerprint/[0-9A-F]/x}"
assert_contains "$(remote status)" "exit 5: weft: the certificate of $ADDRESS:6784 is not to be believed: its SHA-256 is $fingerprint" "another fingerprint"
OPTIONS="--http-token-file /run/token-h2"
assert_contains "$(remote status)" "is not to be believed" "nobody's signature"
on h1 cat /var/lib/weft/tls-cert.pem >"$SCRATCH/ca.pem"
on h1 weft stop
assert_contains "$(remote status)" "exit 4" "nobody listens"

step "a certificate that somebody signed"
on h1 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /run/key.pem -out /run/cert.pem -days 2 \
  -subj /CN=h1 -addext "subjectAltName=IP:$ADDRESS" 2>/dev/null
launch h1 --http-addr "$ADDRESS:6784" --http-token-file /run/token --http-cert /run/cert.pem --http-key /run/key.pem
on h1 cat /run/cert.pem | on h2 sh -c 'cat >/run/ca-h2.pem'
OPTIONS="--http-token-file /run/token-h2 --http-ca /run/ca-h2.pem"
assert_contains "$(remote status)" "exit 0" "who signs it is known"
assert_equal "$(code --cacert /run/ca-h2.pem -H "Authorization: Bearer $TOKEN" "https://$ADDRESS:6784/report")" 200 "curl"
