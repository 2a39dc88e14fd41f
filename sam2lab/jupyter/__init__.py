"""What the project brings to a Jupyter server: its configuration."""
