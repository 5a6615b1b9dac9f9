"""Reads INPUTS/cities.csv and writes OUTPUTS/summary.json."""

import csv
import hashlib
import json
import os
import sys
from collections import Counter

inputs, outputs = sys.argv[1:]
path = os.path.join(inputs, "cities.csv")
with open(path, encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
with open(path, "rb") as file:
    digest = hashlib.sha256(file.read()).hexdigest()
summary = {
    "title": os.environ["TITLE"],
    "inhabitants": sum(int(row["inhabitants"]) for row in rows),
    "countries": Counter(row["country"] for row in rows),
    "longest": max((row["name"] for row in rows), key=len),
    "sha256": digest,
}
with open(os.path.join(outputs, "summary.json"), "w", encoding="utf-8") as file:
    json.dump(summary, file, ensure_ascii=False, indent=1, sort_keys=True)
print(len(rows), "rows of", summary["title"])
