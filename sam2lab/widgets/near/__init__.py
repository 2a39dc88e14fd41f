"""Lets the browser answer clicks while the kernel is far away; the kernel answers them too."""
