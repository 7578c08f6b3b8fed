"""Posts a file of events to intake: lines read and checked here, sent in batches, each refusal said by its line."""
