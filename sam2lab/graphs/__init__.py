"""ONNX graphs as files: check and write them, store them smaller, convert them to half precision.

`export` and `quantize` share this floor. It needs `onnx`, never torch.
"""
