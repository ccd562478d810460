#!/bin/sh
# Compresses and restores a file; it must come back as it was, from fewer bytes.
set -eu
zst=$1 file=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$zst" compress "$file" "$scratch/packed"
"$zst" restore "$scratch/packed" "$scratch/restored"
cmp "$file" "$scratch/restored"
before=$(wc -c <"$file") after=$(wc -c <"$scratch/packed")
[ "$after" -lt "$before" ]
# A file that was cut short is refused.
head -c 1000 "$scratch/packed" >"$scratch/cut"
if "$zst" restore "$scratch/cut" "$scratch/nothing" 2>/dev/null; then
    echo "a cut file was taken for whole" >&2
    exit 1
fi
echo "$file: $before bytes, packed $after, restored"
