"""A model behind HTTP: a small server on this machine, and an engine that asks it.

`serve(engine)` serves any engine, and `RemoteEngine` is an engine that asks such a server. There
are two ways to ask. In a `Segmenter` or a `VideoPredictor`, a `RemoteEngine` prepares photos and
restores masks here and leaves the network to the server: 12 MB of pixels go up once for each photo
(at 1024 x 1024), clicks are small, and each answer brings 1 MB of logits. `RemoteEngine.segment`
works as cloud services do: the photo's file goes up each time, packed masks come back, nothing is
remembered.

The server listens on 127.0.0.1 only, because the token and the photos cross unencrypted. In a
classroom with one strong machine, that machine serves on a fixed port, and each desk opens an SSH
tunnel to it. On the strong machine:

```python
server = serve(open_segmenter("large").engine, port=40123)
print(server.token)
```

At each desk, `ssh -N -L 40123:127.0.0.1:40123 USER@STRONG_MACHINE` in a terminal, and then:

```python
clicker = Clicker(Segmenter(RemoteEngine("http://127.0.0.1:40123", "the token")))
```

The server is tornado and the client urllib3, because every Jupyter brings both: `[lab]` installs
nothing new. uvicorn and starlette would be new, and have no time limit for a slow request.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
