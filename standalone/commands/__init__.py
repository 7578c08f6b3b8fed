"""The commands of ``upright``. Each module only parses; what a command needs is imported when it runs."""
