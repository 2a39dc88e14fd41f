"""Compare our way of following objects through videos with upstream's."""
