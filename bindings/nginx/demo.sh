#!/usr/bin/env bash
# Starts nginx with the module on a free port, and shows what it answers to the commands of the
# guide to 401.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
module=$(cd "$here/../.." && pwd)/target/nginx/ngx_http_keygate_module.so
"$here/../../.ci/packages" nginx curl
export PATH=$PATH:/usr/sbin # Debian's nginx is there, where not everybody looks

dir=$(mktemp -d)
pid=
finish() {
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; } || true
    rm -rf "$dir"
}
trap finish EXIT

# configure MODE LAN KEY: writes the configuration of the gate.
configure() {
    printf 'keygate_auth_mode %s;\nkeygate_allow_lan_access %s;\n' "$1" "$2" > "$dir/gate.conf"
    [ -z "$3" ] || printf 'keygate_api_key_file %s/key;\n' "$dir" >> "$dir/gate.conf"
    (umask 077 && printf '%s\n' "$3" > "$dir/key")
}

start() {
    cat > "$dir/nginx.conf" << CONF
load_module $module;
daemon off;
pid $dir/nginx.pid;
error_log $dir/error.log notice;
$([ "$(id -u)" != 0 ] || echo "user root;")
events {}
http {
    access_log off;
    client_body_temp_path $dir/a; proxy_temp_path $dir/b; fastcgi_temp_path $dir/c;
    uwsgi_temp_path $dir/d; scgi_temp_path $dir/e;
    server {
        listen unix:$dir/upstream.sock;
        default_type text/plain;
        location / { return 200 "the service behind the gate\n"; }
    }
    server {
        listen 127.0.0.1:$port;
        keygate on;
        keygate_explain on;
        include $dir/gate.conf;
        location / { proxy_pass http://unix:$dir/upstream.sock; }
    }
}
CONF
    nginx -e "$dir/error.log" -c "$dir/nginx.conf" 2> "$dir/start.log" &
    pid=$!
    for _ in $(seq 100); do
        if curl -s -o "$dir/ready" "http://127.0.0.1:$port/"; then return 0; fi
        kill -0 "$pid" 2> "$dir/ready" || return 1
        sleep 0.05
    done
    return 1
}

# Waits until the old worker has gone, so that what follows is answered by the new one.
reload() {
    local old
    old=$(< "/proc/$pid/task/$pid/children")
    kill -HUP "$pid"
    for _ in $(seq 200); do
        [ -e "/proc/${old%% *}" ] || return 0
        sleep 0.05
    done
    echo "nginx did not reload" >&2
    return 1
}

lines=0
step() { printf '\n== %s\n' "$1"; }
show() {
    printf '\n$ curl -i http://127.0.0.1:%s%s' "$port" "$1"
    local path=$1 header arguments=()
    shift
    for header in "$@"; do
        printf ' -H "%s"' "$header"
        arguments+=(-H "$header")
    done
    printf '\n'
    curl -sS -i "http://127.0.0.1:$port$path" ${arguments[@]+"${arguments[@]}"} |
        tr -d '\r' | grep -iE '^(HTTP|WWW-Authenticate)|^\{|^the service' | sed 's/^/  /'
    # What the module wrote about it, without nginx's time and numbers.
    { grep -a ' keygate: ' "$dir/error.log" || true; } | tail -n +$((lines + 1)) | sed 's/.* keygate: /  log: /; s/, client: .*//'
    lines=$(grep -ac ' keygate: ' "$dir/error.log" || true)
}
mode() { printf '\n-- auth_mode=%s allow_lan_access=%s\n' "$1" "$2"; configure "$1" "$2" "$3"; reload; }

key=sk-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
configure all_except_health off "$key"
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 20000))
    if start; then break; fi
    pid=
done
[ -n "$pid" ] || { cat "$dir/start.log" "$dir/error.log" >&2; exit 1; }
: > "$dir/error.log"

step "Step 1: is it the gate? /healthz without any header"
for m in "all_except_health off" "auto on" "strict off"; do
    # shellcheck disable=SC2086
    mode $m "$key"
    show /healthz
done

step "Step 2: what the mode comes to, seen at /v1/models without a key"
for m in "off off" "strict off" "all_except_health off" "auto off" "auto on"; do
    # shellcheck disable=SC2086
    mode $m "$key"
    show /v1/models
done

step "Step 3: the key is not empty, and a new one is in force after a reload"
mode strict off ""
show /v1/models "Authorization: Bearer $key"
new=sk-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
mode strict off "$new"
show /v1/models "Authorization: Bearer $key"
show /v1/models "Authorization: Bearer $new"
key=$new

step "Step 4: the simplest header"
show /v1/models "Authorization: Bearer $key"
show /v1/models "x-api-key: $key"
show /v1/models "Authorization: Bearer sk-REPLACE_WITH_YOUR_PROXY_API_KEY"

step "Pitfalls"
show /v1/models "Authorization: Bearer sk-another" "x-api-key: $key"
show /v1/models "Authorization: Bearer$key"
mode auto on "$key"
show /v1/models
