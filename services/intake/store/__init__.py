"""All SQL of intake. Callers hold the transaction; only the edge commits."""
