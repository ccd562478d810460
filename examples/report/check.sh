#!/bin/sh
# The report says what the readings give.
set -eu
grep -q '<td>attic</td><td>26.00</td><td>24.0</td><td>28.0</td>' "$1"
grep -q '<td>cellar</td><td>10.00</td><td>9.5</td><td>10.5</td>' "$1"
grep -q '<svg' "$1"
echo "the report has every shelf"
