#!/bin/sh
# Runs once, when the database is made: Denizen gets a role and a database of its own, no more.
set -eu

psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set "password=$(cat /run/secrets/denizen_db_password)" <<'SQL'
CREATE ROLE denizen LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE denizen OWNER denizen;
REVOKE ALL ON DATABASE denizen FROM PUBLIC;
SQL
psql --set ON_ERROR_STOP=1 --username postgres --dbname denizen \
    --command 'CREATE EXTENSION IF NOT EXISTS vector'
