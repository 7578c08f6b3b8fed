"""ClinicalTrials.gov API v2 records → trials. All of it is pure except ``api``, which asks the registry's server.

``records.read_records`` reads a file or a page, ``report.compare`` says what an import would change. Contacts in a
record are never kept: not as fields, not inside its texts.
"""
