"""Runs in a process of its own, because QNN's libraries end the process where they fail."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def steps(asked: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Open a graph for QNN, then compute what is asked.

    The first line has `graph`, an ONNX file or the wrapper of a context; `chip`, (soc, arch) or
    None; and perhaps `dlc`, a folder, or `context`, the path of a wrapper, to write to. Each other
    line has `inputs` and `outputs`, .npz files, and `names`, the outputs wanted.
    """
    import numpy as np
    import onnxruntime
    import onnxruntime_qnn

    about = next(asked)
    provider, libraries = "QNNExecutionProvider", Path(onnxruntime_qnn.LIB_DIR_FULL_PATH)
    onnxruntime.register_execution_provider_library(provider, onnxruntime_qnn.get_library_path())
    devices = [each for each in onnxruntime.get_ep_devices() if each.ep_name == provider]
    options = onnxruntime.SessionOptions()
    # Warnings name each node that is not taken, in hundreds of lines.
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # What goes in and out stays float, also where the graph is quantised.
    given = {"offload_graph_io_quantization": "0"}
    backend = "Ir" if about.get("dlc") else "Htp"
    (library,) = [
        path
        for path in libraries.iterdir()
        if path.name in (f"libQnn{backend}.so", f"Qnn{backend}.dll")
    ]
    given["backend_path"] = str(library)
    if about.get("dlc"):
        given |= {"dump_qnn_ir_dlc": "1", "dump_qnn_ir_dlc_dir": about["dlc"]}
    else:
        # Without them, the emulator has no memory for float.
        given |= dict(zip(("soc_model", "htp_arch"), map(str, about["chip"]), strict=True))
    if about.get("context"):
        options.add_session_config_entry("ep.context_enable", "1")
        options.add_session_config_entry("ep.context_file_path", about["context"])
        options.add_session_config_entry("ep.context_embed_mode", "0")
    options.add_provider_for_devices(devices, given)
    # Not those of the clock: compiling keeps one core busy, for minutes, beside whatever else runs.
    start = time.process_time()
    session = onnxruntime.InferenceSession(about["graph"], options)
    seconds = time.process_time() - start
    nodes: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        taken = nodes.setdefault(part.ep_name, Counter())
        taken.update(node.op_type for node in part.get_nodes())
    yield {"seconds": seconds, "nodes": nodes}
    for line in asked:
        with np.load(line["inputs"]) as stored:
            answers = session.run(line["names"], dict(stored))
        np.savez(line["outputs"], **dict(zip(line["names"], answers, strict=True)))
        yield {}
