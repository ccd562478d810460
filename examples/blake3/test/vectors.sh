#!/bin/sh
# Known hashes: of nothing, of three bytes, and of enough chunks to use the widest inner loop.
set -eu
blake3=$1
expect() {
    [ "$1" = "$2" ] || { echo "expected $2, got $1" >&2; exit 1; }
}
expect "$("$blake3" </dev/null)" af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262
expect "$(printf abc | "$blake3")" 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85
expect "$(awk 'BEGIN { for (i = 0; i < 5000; i++) printf "line %d\n", i }' | "$blake3")" \
    e165560eda95d5ec7caaff3eb3a94c188c5e57cb1c660885502fcbeacd77ffcc
echo "3 hashes as they should be"
