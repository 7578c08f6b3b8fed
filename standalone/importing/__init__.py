"""Imports registry records and criteria files into trials: read here, sent over HTTP, reported one by one."""
