-- One line for each table: name, rows, a sum over all rows that no order of rows changes.
\set QUIET on
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT format(
    'SELECT %L, count(*), COALESCE(sum(hashtextextended(t::text, 0)::numeric), 0) FROM %I.%I t',
    schemaname || '.' || tablename, schemaname, tablename)
FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY schemaname, tablename
\gexec
