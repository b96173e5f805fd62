# shellcheck shell=bash
# What the scripts share: settings, one run at a time, and a place for what must not lie about.

# Where Compose reads settings from; the last file wins. /dev/null: from nowhere.
IFS=, read -ra settings_files <<<"${COMPOSE_ENV_FILES:-.env}"
settings_file=${settings_files[-1]}

# How the line of a variable begins.
line_of() { printf '%s' "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*"; }

# setting NAME DEFAULT: from the environment, else from .env, as Compose reads them.
setting() {
    local value quote
    if [ -n "${!1+there}" ]; then
        value=${!1}
    else
        value=$(sed -nE "s/$(line_of "$1")//p" "${settings_files[@]}" 2>/dev/null | tail -n1) || true
        quote=${value:0:1}
        case $quote in
            [\'\"]) value=${value#?} value=${value%%"$quote"*} ;;
            *) value=${value%% #*} value=${value%"${value##*[![:space:]]}"} ;;
        esac
        # Compose puts other variables in; here that would be a folder of this name.
        if [ "$quote" != "'" ] && [[ $value == *\$* ]]; then
            echo "$settings_file: write $1 out, without \$ (or in single quotes)" >&2
            return 1
        fi
    fi
    printf '%s' "${value:-$2}"
}

# keep_setting NAME VALUE: into .env, in the place of what it says now.
keep_setting() {
    [ "$settings_file" != /dev/null ] || return 0
    if grep -qsE "$(line_of "$1")" "$settings_file"; then
        sed -i -E --follow-symlinks "s|$(line_of "$1").*|$1=$2|" "$settings_file"
    else
        # A last line without an end would swallow this one.
        [ -z "$(tail -c1 "$settings_file" 2>/dev/null)" ] || echo >>"$settings_file"
        printf '%s=%s\n' "$1" "$2" >>"$settings_file"
    fi
    echo "$settings_file: $1=$2"
}

# alone FILE WORDS: ends with these words while another process holds the lock of this file, which ends with its process.
alone() {
    exec 9<"$1"
    flock -n 9 || { echo "$2" >&2; exit 1; }
}

# work_folder: a new folder $work, for what is in a backup, unencrypted. Not beside the backups, which are copied
# elsewhere; and on disk, because /tmp may be in memory (Debian 13). What was left by one that was killed goes first:
# the lock of a folder says that somebody works in it.
work_folder() {
    local parent=${TMPDIR:-/var/tmp} left
    for left in "$parent"/event-planner-work.*; do
        if [ -O "$left" ]; then flock -n "$left" rm -rf "$left" "/tmp/gnupg.${left##*.}" || true; fi
    done
    work=$(mktemp -d "$parent/event-planner-work.XXXXXX")
    exec 8<"$work"
    flock -n 8
    # Of its own, and with a short name: the socket of gpg's agent is in it.
    export GNUPGHOME=/tmp/gnupg.${work##*.}
    mkdir -m 0700 "$GNUPGHOME"
}
remove_work_folder() {
    gpgconf --kill all
    rm -rf "$work" "$GNUPGHOME"
}
