#!/bin/sh
# Runs the script with the shell that is given and compares what it answers.
set -eu
answer=$("$1" -batch :memory: <test/query.sql)
if [ "$answer" != "$(cat test/query.expected)" ]; then
    printf 'unexpected answer:\n%s\n' "$answer" >&2
    exit 1
fi
printf '%s\n' "$answer"
