"""DataFrames to figures. Knows tables and arrays only: no engine, no model.

Every function returns a matplotlib `Figure` of its own, made without pyplot: nothing global is
touched, no backend is needed, and a notebook shows it once, as the value of its cell. Colours
are those of Okabe and Ito, which people of any colour vision can tell apart.
"""

try:
    from sam2lab.plots.accuracy import beside_truth, iou_by_clicks, iou_by_size, jaccard_boxes
    from sam2lab.plots.devices import among_chipsets, speed_against_memory
    from sam2lab.plots.everything import filtered, painted
    from sam2lab.plots.fresh import cold_start, peak_memory
    from sam2lab.plots.latency import run_order, time_ecdf, time_ratios, time_study, time_violins
    from sam2lab.plots.parity import error_growth, flip_map, iou_by_prompt, tensor_errors
    from sam2lab.plots.peers import peer_masses, peer_ratios
    from sam2lab.plots.photo import candidates
    from sam2lab.plots.quantize import block_damage, pareto
    from sam2lab.plots.training import learning, outlined, parts
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"sam2lab.plots needs {error.name}, which is not installed here; install what notebooks "
        "need: pip install 'sam2lab[lab]'",
        name=error.name,
    ) from error

__all__ = [
    "among_chipsets",
    "beside_truth",
    "block_damage",
    "candidates",
    "cold_start",
    "error_growth",
    "filtered",
    "flip_map",
    "iou_by_clicks",
    "iou_by_prompt",
    "iou_by_size",
    "jaccard_boxes",
    "learning",
    "outlined",
    "painted",
    "pareto",
    "parts",
    "peak_memory",
    "peer_masses",
    "peer_ratios",
    "run_order",
    "speed_against_memory",
    "tensor_errors",
    "time_ecdf",
    "time_ratios",
    "time_study",
    "time_violins",
]
