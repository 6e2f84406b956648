"""Peers: the same tables from the same input, each in one hand-written program.

They leave out what the pipeline does beyond its tables: rejected lines, the ledger,
checks before publishing and publishing itself. A bad line is dropped.
"""
