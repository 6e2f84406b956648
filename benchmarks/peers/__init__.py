"""Peers: the same tables from the same input, each in one hand-written program.

They have only the tables of the pipeline, and no rejected lines, ledger, checks or
publishing. They drop bad lines.
"""
