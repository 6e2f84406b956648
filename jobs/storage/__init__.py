"""Where bytes lie: inputs are read from a storage, and runs are published to one."""
