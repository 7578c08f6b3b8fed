"""Alembic's environment, one for all services: the caller brings the open connection, whose transaction it is."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    render_item=context.config.attributes["render_item"],
    render_as_batch=False,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
