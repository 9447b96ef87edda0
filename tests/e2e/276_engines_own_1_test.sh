#!/bin/bash
# Engines that are not as Docker's packages leave them: over TCP with TLS and clients' certificates, and with a default bridge of
# another name.
source "$(dirname "$0")/../lab/lib.sh"

WEAVE=$SCRATCH/weave
ln -s "$WEFT_BIN" "$WEAVE"
weave() { on h1 "$WEAVE" "$@"; }
plain() { on h1 docker run -d --stop-signal KILL --name "$1" "${@:2}" weft-tools sleep 1000000 >/dev/null; }
TLS=$SCRATCH/tls
ca() { openssl "$@" 2>>"$SCRATCH/openssl.log"; }
authority() {  # NAME
  ca req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" -keyout "$TLS/$1-key.pem" -out "$TLS/$1.pem"
}
certificate() {  # NAME AUTHORITY EXTENSION
  ca req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$TLS/$1-key.pem" -out "$TLS/$1.csr"
  ca x509 -req -in "$TLS/$1.csr" -CA "$TLS/$2.pem" -CAkey "$TLS/$2-key.pem" -CAcreateserial -days 2 -out "$TLS/$1.pem" \
    -extfile <(echo "$3")
}
launch_code() {  # OPTIONS…: of a launch, whose words are in $SCRATCH/out.
  local status=0
  on h1 weft launch --docker-tcp 127.0.0.1:2376 "$@" >"$SCRATCH/out" 2>&1 || status=$?
  echo "$status"
}
logs() { on h1 tail -n 30 /var/log/weft.log | grep -q -- "$1"; }

lab_up 1 --docker
mkdir "$TLS"
authority ca
authority other
certificate engine ca "subjectAltName=DNS:localhost,IP:127.0.0.1"
certificate client ca "extendedKeyUsage=clientAuth"
cp "$TLS/client.pem" "$TLS/cert.pem"
cp "$TLS/client-key.pem" "$TLS/key.pem"

step "an engine with a bridge of its own, over TLS, for who shows a certificate"
lab engine h1 stop
on h1 sh -ec 'ip link del docker0; ip link add br-lab-own type bridge; ip addr add 172.31.0.1/16 dev br-lab-own; ip link set br-lab-own up'
WEFT_LAB_ENGINE_FLAGS="-H tcp://127.0.0.1:2376 --tlsverify --tlscacert=$TLS/ca.pem --tlscert=$TLS/engine.pem --tlskey=$TLS/engine-key.pem
  --bridge br-lab-own" lab engine h1 start
assert_fails on h1 docker -H tcp://127.0.0.1:2376 version >/dev/null

step "is reached with what docker's command line is told"
on h1 env DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="$TLS" "$WEAVE" launch --docker-api tcp://localhost:2376 >/dev/null
plain one --net none
address=$(weave attach one)
wait_until 5 "one is known by its name" on h1 sh -c "'$WEAVE' dns-lookup one | grep -qx $address"
on h1 docker run --rm --net weave weft-tools ping -c 1 -W 5 "$address" >/dev/null
proxied=(on h1 docker -H unix:///var/run/weave/weave.sock run -i --rm weft-tools)
assert_contains "$("${proxied[@]}" ip -4 -o addr show dev ethwe </dev/null)" "inet 10." "a container through the proxy"
head -c 300000 /dev/zero | tr '\0' x >"$SCRATCH/said"
assert_equal "$("${proxied[@]}" cat <"$SCRATCH/said" | md5sum)" "$(md5sum <"$SCRATCH/said")" "what a container repeats, whose input ends first"

step "its bridge is found: containers there stay out of exposed subnets"
plain two
on h1 docker exec two ping -c 1 -W 5 172.31.0.1 >/dev/null
weave expose >/dev/null
assert_contains "$(on h1 nft list table ip weft)" 'iifname "br-lab-own"' "the rule"
assert_fails on h1 docker exec two ping -c 1 -W 1 "$address" >/dev/null
on h1 docker rm -f one two >/dev/null
weave reset

step "who is not to be believed, or does not believe, is named"
both=(--docker-tls-cert "$TLS/client.pem" --docker-tls-key "$TLS/client-key.pem")
plain one --net none
assert_equal "$(launch_code --docker-tls-ca "$TLS/other.pem" "${both[@]}")" 0 "exit code with the wrong authority"
wait_until 5 "the log says so" logs "its certificate is not to be believed: unable to get local issuer certificate"
assert_contains "$(assert_fails on h1 weft attach one)" "its certificate is not to be believed" "attach"
on h1 weft stop
assert_equal "$(launch_code --docker-tls-ca "$TLS/ca.pem" --docker-tls-name elsewhere "${both[@]}")" 0 "exit code with another's name"
wait_until 5 "the log says so" logs "its certificate is not to be believed: hostname mismatch"
on h1 weft stop
assert_equal "$(launch_code --docker-tls-ca "$TLS/ca.pem")" 0 "exit code without a certificate"
wait_until 5 "the log says so" logs "wants a certificate\|certificate required"
on h1 weft stop
assert_equal "$(launch_code --docker-tls-ca "$TLS/none.pem")" 1 "exit code without the file"
assert_contains "$(cat "$SCRATCH/out")" "$TLS/none.pem: No such file" "no such file"
assert_equal "$(launch_code --docker-tls-ca "$SCRATCH/said")" 6 "exit code with a file that is none"
assert_contains "$(cat "$SCRATCH/out")" "expected certificates of authorities" "a file that is none"
assert_equal "$(launch_code --docker-tls-cert "$TLS/client.pem")" 2 "exit code with a certificate alone"
on h1 weft reset
