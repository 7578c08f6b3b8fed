"""All SQL of the notifier. Callers hold the transaction; only the edge commits."""
