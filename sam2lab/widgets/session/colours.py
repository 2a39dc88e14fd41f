"""Colours that eyes with and without colour vision deficiencies tell apart."""

# Okabe and Ito's palette without black, then colours of Paul Tol's schemes: each time the one
# that is furthest from all before it for every kind of colour vision.
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
