"""report.py TITLE SUMMARY CHART OUTPUT: one page with the table and the chart.

The page carries a date only where SOURCE_DATE_EPOCH gives one: same inputs, same bytes.
"""

import datetime
import os
import pathlib
import sys

title, summary, chart = (pathlib.Path(path).read_text().strip() for path in sys.argv[1:4])
rows = "".join(
    "<tr>" + "".join(f"<td>{cell}</td>" for cell in line.split("\t")) + "</tr>\n"
    for line in summary.splitlines()
)
epoch = os.environ.get("SOURCE_DATE_EPOCH")
date = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc).date() if epoch else ""
pathlib.Path(sys.argv[4]).write_text(
    f"<!doctype html>\n<title>{title}</title>\n<h1>{title}</h1>\n<p>{date}</p>\n"
    f"<table>\n<tr><th>shelf</th><th>mean</th><th>low</th><th>high</th></tr>\n{rows}</table>\n{chart}\n"
)
