#!/bin/sh
# Compresses a file in every way that pigz knows, and has the other program and itself unpack it.
set -eu
threads=$1 one=$2 file=$3
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
for way in "-1" "-6" "-11" "-9 --zlib" "-6 --zip" "-6 --blocksize 128 --processes 4"; do
    # shellcheck disable=SC2086
    "$threads" $way --stdout "$file" > "$scratch/packed"
    for program in "$threads" "$one"; do
        "$program" --decompress --stdout < "$scratch/packed" 2> /dev/null | cmp - "$file"
    done
done
# Many threads and one give the same bytes.
for program in "$threads" "$one"; do
    "$program" -6 --no-name --no-time --blocksize 1024 --stdout "$file" 2> /dev/null | cksum
done | uniq | wc -l | grep -qx 1
