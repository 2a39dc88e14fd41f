"""DataFrames to figures. Knows tables and arrays only: no engine, no model.

Every function returns a matplotlib `Figure` of its own, made without pyplot: nothing global is
touched, no backend is needed, and a notebook shows it once, as the value of its cell. Colours
are those of Okabe and Ito, which people of any colour vision can tell apart.
"""

from sam2lab.runtime.facade import facade

__getattr__, __dir__, __all__ = facade(__name__, __file__)
