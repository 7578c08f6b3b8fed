"""The contracts: what travels between the services, as Pydantic models.

Everything here depends on pydantic, PyYAML and the standard library alone. JSON Schemas, the AsyncAPI document and the
golden examples beside the modules are generated from these models by ``make contracts``.
"""
