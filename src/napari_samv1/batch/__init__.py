"""Files -> results -> files, as plain functions: on this machine's threads, or on a cluster."""
