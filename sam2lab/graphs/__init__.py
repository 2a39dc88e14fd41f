"""Check and write ONNX graphs, store them in fewer bytes, and convert them to half precision.

`export` and `quantize` share this package. It needs `onnx`, never torch.
"""
