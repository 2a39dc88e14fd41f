"""A model behind HTTP: a small server on this machine, and an engine that asks it.

There are two places to cut between client and server. `RemoteEngine` is an `Engine`, so a
`Segmenter` over it prepares photos and restores masks here and leaves the network to the
server: 12 MB of pixels go up once for each photo (at 1024 x 1024), clicks are small, and each
answer brings 1 MB of logits. `RemoteEngine.segment` is what cloud services do: the photo's file
goes up each time, packed masks come back, and nothing is remembered.

Other machines are out of reach: the token and the photos cross unencrypted.
"""

from sam2lab.remote.client import RemoteEngine, Segmented, Trip
from sam2lab.remote.connections import FeaturesGone, RefusedError, RemoteError
from sam2lab.remote.features import RemoteFeatures
from sam2lab.remote.network import ASSUMED_NETWORKS, SimulatedNetwork
from sam2lab.remote.requests import Limits
from sam2lab.remote.server import Server, serve

__all__ = [
    "ASSUMED_NETWORKS",
    "FeaturesGone",
    "Limits",
    "RefusedError",
    "RemoteEngine",
    "RemoteError",
    "RemoteFeatures",
    "Segmented",
    "Server",
    "SimulatedNetwork",
    "Trip",
    "serve",
]
