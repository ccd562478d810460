#!/bin/sh
# The check values that the definitions of both sums give.
set -eu
answer=$(printf 123456789 | "$1")
echo "$answer"
[ "$answer" = "crc32 cbf43926 adler32 091e01de" ]
