#!/bin/sh
# Starts a server on a socket of its own, asks it, and has it save and load what it knows.
set -eu
server=$1 client=$2 benchmark=$3
scratch=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill "$pid" 2> /dev/null || true; rm -r "$scratch"' EXIT
ask() { "$client" -s "$scratch/socket" "$@"; }
start() {
    "$server" --port 0 --unixsocket "$scratch/socket" --dir "$scratch" --save "" > "$scratch/log" &
    pid=$!
    until ask ping > /dev/null 2>&1; do kill -0 "$pid"; done
}
start
test "$(ask set greeting hello)" = OK
test "$(ask eval 'return redis.call("get", KEYS[1]) .. " from Lua"' 1 greeting)" = "hello from Lua"
"$benchmark" -s "$scratch/socket" -n 1000 -q -t set,get,lpush > /dev/null
ask save > /dev/null
ask shutdown nosave > /dev/null 2>&1 || true
wait "$pid"
start
test "$(ask get greeting)" = hello
ask shutdown nosave > /dev/null 2>&1 || true
wait "$pid"
pid=
