"""Colours for objects, told apart by eyes with and without colour vision deficiencies."""

# Okabe and Ito's palette without its black, then those of Paul Tol's schemes that are, for
# each kind of colour vision, furthest from all before them.
PALETTE = (
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#332288",
    "#882255",
    "#ffaabb",
    "#99ddff",
    "#117733",
    "#999933",
)
