"""Storages: runs read inputs from a storage, and publish tables to one."""
