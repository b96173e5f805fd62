#!/bin/sh
# Roles and their passwords; tables and rights come with the migrations. Runs on the first start of the database, and
# again whenever a password changed or a role is new (scripts/rotate-token): done again, it only sets the passwords.
set -eu
password_of() { sed -E 's|^[a-z]+://[^:]+:([^@]+)@.*$|\1|' "/run/secrets/$1"; }
app=$(password_of database_app_url)
reporting=$(password_of database_reporting_url)
owner=$(cat /run/secrets/database_owner_password)
monitoring=$(cat /run/secrets/database_monitoring_password)

# Over standard input, so that no password is an argument that others can see; terse, so that no error repeats its line.
psql -qX -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U event_planner_owner -d event_planner <<SQL
-- A password must not get into the server's log, neither of a statement that took long nor of one that failed.
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
SET client_min_messages = warning;
DO \$\$
DECLARE role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['app', 'reporting', 'monitoring', 'backup'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'event_planner_' || role) THEN
            EXECUTE format('CREATE ROLE event_planner_%s LOGIN NOINHERIT', role);
        END IF;
    END LOOP;
END
\$\$;
ALTER ROLE event_planner_owner PASSWORD '$owner';
ALTER ROLE event_planner_app PASSWORD '$app';
ALTER ROLE event_planner_reporting PASSWORD '$reporting' CONNECTION LIMIT 20;
-- The exporter reads statistics, never rows.
ALTER ROLE event_planner_monitoring PASSWORD '$monitoring' INHERIT CONNECTION LIMIT 5;
GRANT pg_monitor TO event_planner_monitoring;
-- scripts/backup reads all rows of all organizations, changes none, and comes through the container's own socket only:
-- it has no password.
ALTER ROLE event_planner_backup INHERIT BYPASSRLS CONNECTION LIMIT 3;
ALTER ROLE event_planner_backup SET default_transaction_read_only = on;
-- What the migrations take from everybody, they leave to pg_monitor; pg_dump needs some of it.
GRANT pg_read_all_data, pg_monitor TO event_planner_backup;
SQL
