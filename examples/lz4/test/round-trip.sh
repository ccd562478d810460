#!/bin/sh
# Compresses and restores a file through pipes, quickly and thoroughly.
set -eu
lz4=$1 file=$2
for level in 1 9; do
    "$lz4" -q "-$level" -c "$file" | "$lz4" -q -d -c - | cmp - "$file"
done
echo "$file compressed and restored at two levels"
