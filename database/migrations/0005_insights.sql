-- Questions that an organization asks again: read-only SQL over its reporting views, with named parameters.

CREATE TABLE saved_queries (
    organization_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text CHECK (length(description) <= 2000),
    sql text NOT NULL CHECK (octet_length(sql) BETWEEN 1 AND 8192),
    -- In the order of $1, $2, …: an array of {name, description, default}.
    parameters jsonb NOT NULL CHECK (jsonb_typeof(parameters) = 'array'),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX saved_query_name_once ON saved_queries (organization_id, lower(name));
SELECT protect_tenant_table('saved_queries');
