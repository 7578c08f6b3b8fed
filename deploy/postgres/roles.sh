#!/bin/sh
# Run by the image once, when the data folder is new: for each service a database, an owner who migrates it, and a role
# which reads and writes its rows and can neither alter nor drop anything. Nobody else gets in.
set -e
for service in intake notifier trials; do
  psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set service="$service" --set owner="${service}_owner" \
    --set password="$(cat "/run/secrets/${service}_password")" \
    --set owner_password="$(cat "/run/secrets/${service}_owner_password")" << 'SQL'
CREATE ROLE :owner LOGIN PASSWORD :'owner_password';
CREATE ROLE :service LOGIN PASSWORD :'password';
CREATE DATABASE :service OWNER :owner;
REVOKE ALL ON DATABASE :service FROM PUBLIC;
GRANT CONNECT ON DATABASE :service TO :service;
\connect :service
ALTER SCHEMA public OWNER TO :owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :service;
ALTER DEFAULT PRIVILEGES FOR ROLE :owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :service;
ALTER DEFAULT PRIVILEGES FOR ROLE :owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO :service;
SQL
done
