"""The protocol that engines share, the table that lists them, and engines without torch."""
