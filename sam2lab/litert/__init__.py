"""Turn device graphs into files for LiteRT (TFLite), and these into smaller ones.

It needs `onnx` and the extra `litert`, never torch.
"""
