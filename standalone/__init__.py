"""The whole system on one machine: embedded broker, mailbox, SQLite and the demo story."""
