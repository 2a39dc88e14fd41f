"""Qualcomm AI Hub: compile, quantise and profile a bundle on a phone that Qualcomm hosts.

Its client has an environment of its own (`python -m sam2lab hub setup`), and needs a token, which
is free. `submit` uploads and starts jobs, `fetch` waits for them and brings home files, times and
masks, `profiles` gives rows of the table of `measure.devices`. A folder remembers the jobs.

The real service was never reached where this was made: the tests drive the real client against a
stand-in on this machine, which speaks its messages.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
