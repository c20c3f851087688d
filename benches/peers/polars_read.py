"""Reads a JSON lines file with polars once for every line on standard input, and answers with the seconds it took.

Started by benches/reading.rs, so that both programs read the same file in turn. The import is not counted. Needs
`pip install polars`.
"""

import sys
import time

import polars

path = sys.argv[1]
print(f"polars {polars.__version__}", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    frame = polars.read_ndjson(path)
    rows, columns = frame.height, len(frame.schema)
    seconds = time.perf_counter() - began
    del frame
    print(f"{seconds} {rows} {columns}", flush=True)
