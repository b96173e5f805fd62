-- The schema as readable text, the same on every supported version of Postgres.
WITH tables AS (
    SELECT c.oid, c.relname::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> '_sqlx_migrations'
), columns AS (
    SELECT t.name, 1 AS part, a.attnum::int AS place,
           '    ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
           || CASE WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
                   WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) ELSE '' END || ',' AS line,
           '' AS tie
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
), constraints AS (
    SELECT t.name, 2 AS part,
           CASE k.contype WHEN 'p' THEN 1 WHEN 'u' THEN 2 WHEN 'f' THEN 3 WHEN 'x' THEN 4 ELSE 5 END AS place,
           '    CONSTRAINT ' || k.conname || ' ' || pg_get_constraintdef(k.oid) || ',' AS line, k.conname::text AS tie
    FROM tables t JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype IN ('p', 'u', 'f', 'x', 'c')
), indexes AS (
    SELECT t.name, 4 AS part, 0 AS place, pg_get_indexdef(x.indexrelid) || ';' AS line, pg_get_indexdef(x.indexrelid) AS tie
    FROM tables t JOIN pg_index x ON x.indrelid = t.oid
    WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid)
), triggers AS (
    SELECT t.name, 5 AS part, 0 AS place, pg_get_triggerdef(g.oid) || ';' AS line, g.tgname::text AS tie
    FROM tables t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
), policies AS (
    SELECT t.name, 6 AS part, 0 AS place,
           'CREATE POLICY ' || p.polname || ' ON ' || t.name
           || CASE WHEN p.polroles = '{0}' THEN '' ELSE ' TO ' || (
                  SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)) END
           || ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')'
           || COALESCE(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '') || ';' AS line, p.polname::text AS tie
    FROM tables t JOIN pg_policy p ON p.polrelid = t.oid
), functions AS (
    SELECT '~' || p.proname AS name, 0 AS part, 0 AS place,
           'FUNCTION ' || p.proname || '(' || pg_get_function_arguments(p.oid) || ') RETURNS '
           || pg_get_function_result(p.oid) || ';' AS line, '' AS tie
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
), views AS (
    SELECT '~~' || c.relname AS name, 0 AS part, a.attnum::int AS place,
           CASE a.attnum WHEN 1 THEN 'VIEW reporting.' || c.relname || ' (' ELSE '    ' END
           || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || CASE a.attnum WHEN c.relnatts THEN ');' ELSE ',' END AS line, '' AS tie
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'reporting'::regnamespace AND c.relkind = 'v'
), framed AS (
    SELECT name, 0 AS part, 0 AS place, 'TABLE ' || name || ' (' AS line, '' AS tie FROM tables
    UNION ALL SELECT name, 3, 0, ');', '' FROM tables
    UNION ALL SELECT name, 7, 0, '', '' FROM tables
)
SELECT line FROM (
    TABLE columns UNION ALL TABLE constraints UNION ALL TABLE indexes UNION ALL TABLE triggers
    UNION ALL TABLE policies UNION ALL TABLE functions
    UNION ALL TABLE views UNION ALL TABLE framed
) lines (name, part, place, line, tie)
ORDER BY name COLLATE "C", part, place, tie COLLATE "C", line COLLATE "C"
