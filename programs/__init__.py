"""The care programs: data that a hospital edits, no code. ``schemas.program_files`` reads it."""
