"""Reads a JSON lines file with polars once for every line on standard input, and answers with the seconds it took: by
the clock, and of processor time.

Started by benches/reading.rs, so that both programs read the same file in turn. The import is not counted. Needs
`pip install polars`.
"""

import sys
import time

import polars

path = sys.argv[1]
print(f"polars {polars.__version__}", flush=True)
for _ in sys.stdin:
    began, worked = time.perf_counter(), time.process_time()
    frame = polars.read_ndjson(path)
    rows, columns = frame.height, len(frame.schema)
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    del frame
    print(f"{seconds} {work} {rows} {columns}", flush=True)
