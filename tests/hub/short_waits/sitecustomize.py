"""Shorten the waits of Qualcomm's client, which asks again for half a minute if need be."""

import time

_sleep = time.sleep
time.sleep = lambda seconds: _sleep(min(seconds, 0.01))
