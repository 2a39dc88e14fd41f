"""SAM 2 in a browser: a page that segments, and the JavaScript modules that it is made of.

`model/` has what computes: twins of the modules of `sam2lab.runtime`, and the worker that owns the
model; it knows no page. `page/` is what is seen. `near/` lets the clicker of a notebook answer in
the browser, for `sam2lab.widgets.near`. `vendor/` has onnxruntime-web. There is no build step: the
browser loads the modules as they are. `joined` puts some of them into one text, for a page that is
a single file and for other places where a module cannot load its neighbours.
"""

from sam2lab.runtime.facade import facade

# What is offered stands in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = facade(__name__, __file__)
