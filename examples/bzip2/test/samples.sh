#!/bin/sh
# What bzip2's own `make test` does: both ways must give the bytes of the samples.
set -eu
bzip2=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for sample in 1 2 3; do
    "$bzip2" "-$sample" <"src/sample$sample.ref" >"$scratch/packed"
    cmp "src/sample$sample.bz2" "$scratch/packed"
    "$bzip2" -d <"src/sample$sample.bz2" >"$scratch/restored"
    cmp "src/sample$sample.ref" "$scratch/restored"
done
echo "3 samples compressed and restored, byte for byte"
