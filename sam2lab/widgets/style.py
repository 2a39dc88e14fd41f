"""How the clicker looks: in the page's own colours, light or dark."""

from __future__ import annotations

from importlib.resources import files

from ipywidgets import HTML


def stylesheet() -> HTML:
    """An invisible widget that brings `clicker.css` to any page that shows the clicker."""
    css = (files("sam2lab.widgets") / "clicker.css").read_text(encoding="utf-8")
    return HTML(f"<style>{css}</style>").add_class("sam2lab-style")
