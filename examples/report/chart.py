"""chart.py SUMMARY OUTPUT: draws a bar for the mean of every shelf."""

import sys

with open(sys.argv[1]) as summary:
    rows = [line.rstrip("\n").split("\t") for line in summary]
bars = "".join(
    f'<rect x="80" y="{20 * row}" width="{float(mean) * 8:.1f}" height="16" fill="#8a4b2a"/>'
    f'<text x="0" y="{20 * row + 13}">{shelf}</text>\n'
    for row, (shelf, mean, _, _) in enumerate(rows)
)
with open(sys.argv[2], "w") as chart:
    chart.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="{20 * len(rows)}">\n{bars}</svg>\n')
