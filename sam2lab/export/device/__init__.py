"""The same model rewired for accelerators: static shapes, one photo, one prompt, channels last."""
