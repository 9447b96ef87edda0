#!/bin/bash
# Containers controlled through any agent, by those who may: from h1 a container on h2 is stopped,
# started, looked into and removed; a viewer, a stranger, a host with the switch off and a mesh
# without a password let nobody.
source "$(dirname "$0")/../lab/lib.sh"

PERSON=$(readlink -f "$(dirname "$0")")/controls.py
TOKEN=0123456789abcdef
URL=http://127.0.0.1:4040

api() { on h1 curl -sf -H "Authorization: Bearer $TOKEN" "$URL$1"; }
peer_of() { on "$1" weft status --json | jq -r .router.name; }
state_of() { on h2 docker inspect -f '{{.State.Status}}' app; }
is_in_state() { [[ $(state_of) == "$1" ]]; }
control() { on h1 python3 "$PERSON" wish "$URL" "$TOKEN" "$h2" "$node" "$@"; }
talk() { on h1 python3 "$PERSON" talk "$URL" "$TOKEN" "$h2" "$@"; }
no_shell_is_left() { ! on h2 docker top app | grep -q -- '-l$'; }

lab_up 2 --docker
everywhere sh -c 'umask 077; echo "correct horse battery" >/etc/weft-password'
on h1 sh -c "umask 077; echo $TOKEN >/etc/ui-token; printf 'password of ann' | weft ui-user ann operator >/etc/ui-users"
launch h1 --password-file /etc/weft-password --ui-token-file /etc/ui-token --ui-users-file /etc/ui-users
launch h2 --password-file /etc/weft-password --host-shell h1
wait_until 20 "h1 and h2 meet" reaches h1 2
on h2 docker run -d --name app busybox sh -c 'echo first line; trap "exit 0" TERM; while :; do sleep 1 & wait $!; done'
h2=$(peer_of h2)
id=$(on h2 docker inspect -f '{{.Id}}' app)
node="$id;<container>"

step "the details of a container on h2 say what can be done to it"
details() { api "/api/topology/containers/$id%3B%3Ccontainer%3E" | jq -r '.node.controls | map(.id) | join(" ")'; }
offers() { [[ $(details) == *"$1"* ]]; }
wait_until 10 "it can be stopped" offers docker_stop_container
assert_equal "$(api /api/topology/hosts | jq -r '.nodes | length')" 2 "hosts"

step "a shell in it, with the size of the browser's terminal"
# shellcheck disable=SC2016  # The container's shell expands it.
sized='until [ "$(stty size)" = "24 123" ]; do sleep 0.1; done; echo me=$((6*7))\n'
assert_contains "$(talk "$node" docker_exec_container "$sized" me=42 123)" "me=42" "the shell's terminal"
wait_until 10 "the shell of who left is gone" no_shell_is_left

step "what is typed at the end ends the pipe"
assert_contains "$(talk "$node" docker_exec_container 'exit\n' "[the pipe was closed]")" "closed" "the end"

step "its log, from before"
assert_contains "$(talk "$node" docker_container_logs "" "first line")" "first line" "the log"

step "attached to it"
on h2 docker run -d -i --name echo busybox cat
echo_id=$(on h2 docker inspect -f '{{.Id}}' echo)
assert_contains "$(talk "$echo_id;<container>" docker_attach_container 'are you there\n' "are you there")" "are you there" "cat"

step "a shell of the host, where that is switched on"
assert_contains "$(talk "$h2;<host>" host_exec 'echo on $(hostname); exit\n' "on h2")" "on h2" "the host's shell"
assert_contains "$(on h1 python3 "$PERSON" wish "$URL" "$TOKEN" "$(peer_of h1)" "$(peer_of h1);<host>" host_exec)" "400" "a host without the switch"

step "paused, unpaused, restarted, stopped, started, stopped, removed"
assert_equal "$(control docker_pause_container)" "200 {}" "pause"
is_in_state paused
assert_equal "$(control docker_unpause_container)" "200 {}" "unpause"
assert_equal "$(control docker_restart_container)" "200 {}" "restart"
is_in_state running
assert_equal "$(control docker_stop_container)" "200 {}" "stop"
is_in_state exited
assert_equal "$(control docker_start_container)" "200 {}" "start"
assert_contains "$(control docker_remove_container)" "400" "a running one is not removed"
assert_equal "$(control docker_stop_container)" "200 {}" "stop"
assert_contains "$(control docker_remove_container)" removedNode "remove"
assert_fails on h2 docker inspect app

step "all of it is in the logs of both hosts"
assert_contains "$(on h1 cat /var/log/weft.log)" 'control asked for who=token@127.0.0.1' "the log of h1"
assert_contains "$(on h2 cat /var/log/weft.log)" 'control=docker_remove_container outcome=done' "the log of h2"

step "an operator runs containers, but gets no shell; a stranger nothing"
node="$echo_id;<container>"
on h1 curl -sf -c /run/jar -o /dev/null --data-urlencode "name=ann" --data-urlencode "token=password of ann" "$URL/login"
as_ann() { on h1 curl -s -o /dev/null -w '%{http_code}' -b /run/jar -X POST "$URL/api/control/$h2/$echo_id%3B%3Ccontainer%3E/$1"; }
assert_equal "$(as_ann docker_exec_container)" 403 "ann's shell"
assert_equal "$(as_ann docker_restart_container)" 200 "ann's restart"
assert_contains "$(TOKEN="" control docker_stop_container)" "401" "a stranger"

step "a host with the switch off does nothing for anybody"
on h2 weft stop
launch h2 --password-file /etc/weft-password --controls off h1
wait_until 20 "h1 and h2 meet" reaches h1 2
assert_contains "$(control docker_stop_container)" "switched off" "h2 with --controls off"

step "without a password a host does nothing for other hosts, and without a login nobody controls"
everywhere weft stop
launch h1
launch h2 h1 --controls loopback
wait_until 20 "h1 and h2 meet" reaches h1 2
assert_contains "$(TOKEN="" control docker_stop_container)" "403" "a viewer"
assert_contains "$(on h2 python3 "$PERSON" wish "$URL" "" "$h2" "$node" docker_restart_container)" "200" "h2's own, on loopback"
on h1 weft stop
launch h1 --controls loopback
wait_until 20 "h1 and h2 meet" reaches h1 2
assert_contains "$(TOKEN="" control docker_stop_container)" "password" "h2 for h1"
