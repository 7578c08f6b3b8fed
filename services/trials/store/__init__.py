"""All SQL of trials. Every function takes the caller's connection: only the edge commits."""
