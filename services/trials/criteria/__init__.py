"""Criteria: evaluate, explain, put in words, lint. Pure: a tree and a picture in, truths and reasons out."""
