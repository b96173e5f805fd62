# shellcheck shell=bash
# setting NAME DEFAULT: from the environment, else .env, as Compose reads them.
setting() {
    local value=${!1:-}
    if [ -z "$value" ] && [ -e .env ]; then value=$(sed -n "s/^$1=//p" .env | tail -n1); fi
    printf '%s' "${value:-$2}"
}
