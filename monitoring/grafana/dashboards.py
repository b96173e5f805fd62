#!/usr/bin/env python3
"""The dashboards, as one table; `monitoring/grafana/dashboards.py` writes dashboards/*.json, which Grafana reads.

A row is (title, unit, {legend: query}). A legend is a template of Grafana over the labels (`{{route}}`). A count that has no
series before the first event takes `or on() vector(0)`, so that a panel without data is always a fault.
"""
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"
V1 = 'job="api",route=~"/v1/.*",instance=~"$instance"'
FAILED = f'{V1},status=~"5..",status!="501"'
SIDECAR = 'job=~"$job"'
OURS = 'job=~"api|worker|mcp-.*"'
DATABASE = 'datname="event_planner"'

# Title: (description, variables {name: query}, rows)
DASHBOARDS = {
    "Overview": ("What an operator looks at first.", {}, [
        ("Alerts that fire", "short", {"{{alertname}} {{job}}": 'count by (alertname, job) (ALERTS{alertstate="firing"}) or on() vector(0)'}),
        ("Services that do not answer", "short", {"away": "count(up == 0) or on() vector(0)"}),
        ("Requests a second", "reqps", {"requests": 'sum(rate(http_requests_total{job="api",route=~"/v1/.*"}[$__rate_interval])) or on() vector(0)'}),
        ("Failed requests, last hour (promise: 0.1 %)", "percentunit", {"failed": "api:requests_failed:ratio_rate1h or on() vector(0)"}),
        ("Requests over 0.5 s, last hour (promise: 1 %)", "percentunit", {"slow": "api:requests_slow:ratio_rate1h or on() vector(0)"}),
        ("The oldest due job", "s", {"waits": "max(jobs_oldest_due_seconds)"}),
        ("Memory by service", "bytes", {"{{job}}": f"sum by (job) (process_resident_memory_bytes{{{OURS}}})"}),
        ("CPU by service", "short", {"{{job}}": f"sum by (job) (rate(process_cpu_seconds_total{{{OURS}}}[$__rate_interval]))"}),
        ("CPU of the host", "percentunit", {"busy": '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'}),
        ("Memory of the host", "bytes", {"available": "node_memory_MemAvailable_bytes", "all": "node_memory_MemTotal_bytes"}),
        ("Free on disk", "percentunit", {"{{device}}": 'min by (device) (node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs"} / node_filesystem_size_bytes)'}),
        ("Time since the last backup", "s", {"backup": "time() - max(event_planner_backup_last_success_timestamp_seconds) or on() vector(-1)"}),
    ]),
    "API": ("Rate, errors and duration by route; the pool of connections.", {"instance": 'label_values(up{job="api"}, instance)'}, [
        ("Requests by route", "reqps", {"{{method}} {{route}}": f"sum by (method, route) (rate(http_requests_total{{{V1}}}[$__rate_interval]))"}),
        ("Answers by status", "reqps", {"{{status}}": f"sum by (status) (rate(http_requests_total{{{V1}}}[$__rate_interval]))"}),
        ("Failures by route", "reqps", {"{{method}} {{route}} {{status}}": f"sum by (method, route, status) (rate(http_requests_total{{{FAILED}}}[$__rate_interval])) or on() vector(0)"}),
        ("Time to answer", "s", {quantile: f"histogram_quantile({quantile}, sum by (le) (rate(http_request_duration_seconds_bucket{{{V1}}}[$__rate_interval])))" for quantile in ("0.5", "0.95", "0.99")}),
        ("Slowest routes, 0.95", "s", {"{{method}} {{route}}": f"topk(10, histogram_quantile(0.95, sum by (le, method, route) (rate(http_request_duration_seconds_bucket{{{V1}}}[$__rate_interval]))))"}),
        ("Requests at once", "short", {"{{instance}}": 'http_requests_in_flight{job="api",instance=~"$instance"}'}),
        ("Connections to Postgres", "short", {"{{instance}} open": 'database_connections{job="api",instance=~"$instance"}', "{{instance}} idle": 'database_connections_idle{job="api",instance=~"$instance"}'}),
        ("Rate limits counted without Redis", "reqps", {"requests": 'sum(rate(rate_limit_fallbacks_total{job="api",instance=~"$instance"}[$__rate_interval]))'}),
        ("Changes committed", "ops", {"{{action}}": 'sum by (action) (rate(changes_total{job="api",instance=~"$instance"}[$__rate_interval]))'}),
        ("Memory", "bytes", {"{{instance}}": 'process_resident_memory_bytes{job="api",instance=~"$instance"}'}),
        ("Open files", "short", {"{{instance}}": 'process_open_fds{job="api",instance=~"$instance"}'}),
        ("Budget used up: failures (1 is as much as promised)", "short", {"1 hour": "api:requests_failed:ratio_rate1h / 0.001 or on() vector(0)", "1 day": "api:requests_failed:ratio_rate1d / 0.001 or on() vector(0)"}),
    ]),
    "Sidecars": ("Calls of tools, and what providers answered.", {"job": 'label_values(up{job=~"mcp-.*"}, job)'}, [
        ("Calls by tool", "reqps", {"{{sidecar}} {{tool}}": f"sum by (sidecar, tool) (rate(mcp_tool_calls_total{{{SIDECAR}}}[$__rate_interval])) or on() vector(0)"}),
        ("Calls by outcome", "reqps", {"{{sidecar}} {{outcome}}": f"sum by (sidecar, outcome) (rate(mcp_tool_calls_total{{{SIDECAR}}}[$__rate_interval])) or on() vector(0)"}),
        ("Failed calls", "percentunit", {"{{sidecar}}": "sidecar:calls_failed:ratio_rate5m or on() vector(0)"}),
        ("Time of a call, 0.95", "s", {"{{sidecar}} {{tool}}": f"histogram_quantile(0.95, sum by (le, sidecar, tool) (rate(mcp_tool_call_duration_seconds_bucket{{{SIDECAR}}}[$__rate_interval]))) or on() vector(0)"}),
        ("Calls at once", "short", {"{{job}}": f"sum by (job) (mcp_tool_calls_in_flight{{{SIDECAR}}})"}),
        ("Attempts by outcome", "reqps", {"{{provider}} {{outcome}}": f"sum by (provider, outcome) (rate(mcp_upstream_requests_total{{{SIDECAR}}}[$__rate_interval])) or on() vector(0)"}),
        ("Time of an attempt, 0.95", "s", {"{{provider}}": f"histogram_quantile(0.95, sum by (le, provider) (rate(mcp_upstream_request_duration_seconds_bucket{{{SIDECAR}}}[$__rate_interval]))) or on() vector(0)"}),
        ("Left alone (1: breaker open)", "short", {"{{job}} {{provider}}": 'max by (job, provider) (mcp_upstream_breaker_open) or on() vector(0)'}),
        ("Memory", "bytes", {"{{job}}": f"sum by (job) (process_resident_memory_bytes{{{SIDECAR}}})"}),
    ]),
    "Jobs and deliveries": ("What requests leave behind. The queue is one, whichever worker counts it.", {}, [
        ("Workers", "short", {"workers": 'count(up{job="worker"} == 1) or on() vector(0)'}),
        ("Due jobs", "short", {"due": "max(jobs_due)"}),
        ("The oldest due job", "s", {"waits": "max(jobs_oldest_due_seconds)"}),
        ("Dead letters", "short", {"dead": "max(jobs_dead)"}),
        ("Providers that are away", "short", {"lanes": "max(job_lanes_paused)"}),
        ("Deliveries frozen", "short", {"frozen": "max(deliveries_frozen)"}),
        ("Attempts by outcome", "ops", {"{{outcome}}": "sum by (outcome) (rate(jobs_total[$__rate_interval])) or on() vector(0)"}),
        ("Attempts by kind", "ops", {"{{kind}}": "sum by (kind) (rate(jobs_total[$__rate_interval])) or on() vector(0)"}),
        ("Time of an attempt, 0.95", "s", {"{{kind}}": "histogram_quantile(0.95, sum by (le, kind) (rate(job_duration_seconds_bucket[$__rate_interval]))) or on() vector(0)"}),
        ("Sidecars that are left alone (1: breaker open)", "short", {"{{provider}}": 'max by (provider) (mcp_upstream_breaker_open{job="worker"}) or on() vector(0)'}),
        ("Webhooks by outcome", "ops", {"{{outcome}}": "sum by (outcome) (rate(webhook_attempts_total[$__rate_interval])) or on() vector(0)"}),
        ("Webhook endpoints that we have disabled", "short", {"disabled": "max(webhook_endpoints_disabled)"}),
        ("Messages", "ops", {"{{action}}": 'sum by (action) (rate(changes_total{action=~"message[.].*"}[$__rate_interval])) or on() vector(0)'}),
        ("Payments", "ops", {"{{action}}": 'sum by (action) (rate(changes_total{action=~"payment[.].*"}[$__rate_interval])) or on() vector(0)'}),
        ("Received from providers", "ops", {"{{provider}} {{outcome}}": "sum by (provider, outcome) (rate(webhooks_received_total[$__rate_interval])) or on() vector(0)"}),
        ("Runs that are not done", "short", {"{{status}}": "max by (status) (orchestrations_open)"}),
        ("The longest wait for an approval", "s", {"waits": "max(orchestrations_waiting_seconds)"}),
        ("What becomes of runs and steps", "ops", {"{{action}}": 'sum by (action) (rate(changes_total{action=~"(orchestration|subtask)[.].*"}[$__rate_interval])) or on() vector(0)'}),
    ]),
    "Postgres": ("", {}, [
        ("Transactions", "ops", {"committed": f"sum(rate(pg_stat_database_xact_commit{{{DATABASE}}}[$__rate_interval]))", "rolled back": f"sum(rate(pg_stat_database_xact_rollback{{{DATABASE}}}[$__rate_interval]))"}),
        ("Connections by role", "short", {"{{usename}} {{state}}": 'sum by (usename, state) (pg_stat_activity_count{usename!=""})'}),
        ("Connections taken", "percentunit", {"taken": "sum(pg_stat_activity_count) / max(pg_settings_max_connections)"}),
        ("The longest transaction", "s", {"{{state}}": f"max by (state) (pg_stat_activity_max_tx_duration{{{DATABASE}}})"}),
        ("Found in memory", "percentunit", {"hits": f"rate(pg_stat_database_blks_hit{{{DATABASE}}}[5m]) / (rate(pg_stat_database_blks_hit{{{DATABASE}}}[5m]) + rate(pg_stat_database_blks_read{{{DATABASE}}}[5m]))"}),
        ("Rows", "ops", {"read": f"rate(pg_stat_database_tup_fetched{{{DATABASE}}}[$__rate_interval])", "inserted": f"rate(pg_stat_database_tup_inserted{{{DATABASE}}}[$__rate_interval])", "updated": f"rate(pg_stat_database_tup_updated{{{DATABASE}}}[$__rate_interval])", "deleted": f"rate(pg_stat_database_tup_deleted{{{DATABASE}}}[$__rate_interval])"}),
        ("Locks", "short", {"{{mode}}": f"sum by (mode) (pg_locks_count{{{DATABASE}}})"}),
        ("Deadlocks", "short", {"deadlocks": f"increase(pg_stat_database_deadlocks{{{DATABASE}}}[5m])"}),
        ("Temporary files", "Bps", {"written": f"rate(pg_stat_database_temp_bytes{{{DATABASE}}}[$__rate_interval])"}),
        ("Size", "bytes", {"database": f"pg_database_size_bytes{{{DATABASE}}}"}),
        ("Dead rows", "short", {"{{relname}}": "topk(10, pg_stat_user_tables_n_dead_tup)"}),
    ]),
    "Redis": ("Rate limits; whatever is lost is counted anew.", {}, [
        ("Memory", "bytes", {"used": "redis_memory_used_bytes", "limit": "redis_memory_max_bytes"}),
        ("Commands", "ops", {"commands": "rate(redis_commands_processed_total[$__rate_interval])"}),
        ("Clients", "short", {"connected": "redis_connected_clients"}),
        ("Keys", "short", {"{{db}}": "sum by (db) (redis_db_keys)"}),
        ("Forgotten", "ops", {"evicted for memory": "rate(redis_evicted_keys_total[$__rate_interval])", "expired": "rate(redis_expired_keys_total[$__rate_interval])"}),
        ("Found and not found", "ops", {"found": "rate(redis_keyspace_hits_total[$__rate_interval])", "not found": "rate(redis_keyspace_misses_total[$__rate_interval])"}),
        ("Refused connections", "ops", {"refused": "rate(redis_rejected_connections_total[$__rate_interval])"}),
    ]),
    "nginx": ("The door, from inside and as a client sees it.", {}, [
        ("Requests", "reqps", {"requests": "rate(nginx_http_requests_total[$__rate_interval])"}),
        ("Connections", "short", {"active": "nginx_connections_active", "reading": "nginx_connections_reading", "writing": "nginx_connections_writing", "waiting": "nginx_connections_waiting"}),
        ("New connections", "ops", {"accepted": "rate(nginx_connections_accepted[$__rate_interval])", "handled": "rate(nginx_connections_handled[$__rate_interval])"}),
        ("The door answers", "short", {"answers": 'probe_success{job="door"}'}),
        ("Time to answer at the door", "s", {"{{phase}}": 'sum by (phase) (probe_http_duration_seconds{job="door"})'}),
        ("The certificate ends in", "s", {"certificate": 'probe_ssl_earliest_cert_expiry{job="door"} - time()'}),
    ]),
    "Planning": ("Plans, and what becomes of them.", {}, [
        ("Plans by outcome", "ops", {"{{outcome}}": "sum by (outcome) (rate(plans_total[$__rate_interval])) or on() vector(0)"}),
        ("Plans that found nothing, last hour", "percentunit", {"empty": '(sum(increase(plans_total{outcome="empty"}[1h])) or vector(0)) / (sum(increase(plans_total[1h])) > 0) or on() vector(0)'}),
        ("Time of a plan", "s", {quantile: f'histogram_quantile({quantile}, sum by (le) (rate(http_request_duration_seconds_bucket{{job="api",method="POST",route="/v1/plans"}}[$__rate_interval]))) or on() vector(0)' for quantile in ("0.5", "0.95", "0.99")}),
        ("Bookings", "ops", {"{{action}}": 'sum by (action) (rate(changes_total{action=~"booking.*"}[$__rate_interval])) or on() vector(0)'}),
        ("Refused because somebody was first (409)", "ops", {"{{route}}": 'sum by (route) (rate(http_requests_total{job="api",status="409"}[$__rate_interval])) or on() vector(0)'}),
        ("Events", "ops", {"{{action}}": 'sum by (action) (rate(changes_total{action=~"event.*"}[$__rate_interval])) or on() vector(0)'}),
    ]),
}


def panel(number, title, unit, queries):
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"h": 8, "w": 8, "x": number % 3 * 8, "y": number // 3 * 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": None if unit == "s" else 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": {"type": "prometheus", "uid": "prometheus"}}
            for index, (legend, query) in enumerate(queries.items())
        ],
    }


def variable(name, query):
    return {
        "name": name, "type": "query", "query": query, "definition": query, "refresh": 2, "sort": 1,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "includeAll": True, "multi": True, "allValue": "mcp-.*" if name == "job" else ".*", "current": {"text": "All", "value": "$__all"},
    }


def dashboard(title, description, variables, rows):
    name = title.lower().replace(" ", "-")
    return name, {
        "uid": f"event-planner-{name}",
        "title": title,
        "description": description,
        "tags": ["event-planner"],
        "schemaVersion": 41,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [variable(*entry) for entry in variables.items()]},
        "annotations": {"list": [{
            "name": "Alerts", "enable": True, "iconColor": "red", "datasource": {"type": "prometheus", "uid": "prometheus"},
            "expr": 'ALERTS{alertstate="firing"}', "titleFormat": "{{alertname}}",
        }]},
        "links": [{"type": "dashboards", "tags": ["event-planner"], "title": "Event Planner", "asDropdown": True}],
        "panels": [panel(number, *row) for number, row in enumerate(rows)],
    }


def files():
    """Name of the file: its text."""
    made = (dashboard(title, *rest) for title, rest in DASHBOARDS.items())
    return {f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in made}


if __name__ == "__main__":
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name, text in files().items():
        (FOLDER / name).write_text(text)
