#!/bin/sh
# merge.sh OUTPUT DIRECTORY: puts the readings of all days under one header, with their day.
set -eu
{
    echo "day,shelf,celsius"
    for file in "$2"/*.csv; do
        day=$(basename "$file" .csv)
        tail -n +2 "$file" | while IFS= read -r line; do echo "$day,$line"; done
    done
} >"$1"
