"""Our export beside others' ways to run SAM 2: same weights, same photo, same threads, in turn.

`bench.compare` measures, `markdown.report` says what came out. Every contender works in processes
of its own, so that none has another's libraries in its memory, and none that fails takes others
with it.
"""
