"""Turn an exported bundle into one that computes in 8 bits. Needs `onnx`, never torch."""
