"""Turn a model into files that other runtimes serve."""
