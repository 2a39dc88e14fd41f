"""The peers, one file each. A file imports only the standard library at its top."""
