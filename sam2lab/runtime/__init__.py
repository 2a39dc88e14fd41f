"""Serve a model with numpy, onnxruntime and Pillow; nothing here ever imports torch."""
