# What up, down and look share. The server's folder is named after the environment, outside the work directory, which is
# only a cache. A pid alone proves nothing, as it may have been given to another process since: `is_running` also looks
# whether the process carries the mark of this environment.
folder=/tmp/glasshouse-web-shop-$GLASSHOUSE_ENVIRONMENT
mark=glasshouse-web-shop-owner=$GLASSHOUSE_ENVIRONMENT

is_running() {
  [ -s "$folder/pid" ] || return 1
  pid=$(cat "$folder/pid")
  if [ -d /proc/self ]; then
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$mark"
  else
    ps -o args= -p "$pid" 2>/dev/null | grep -qF -- "$mark"
  fi
}

write_page() { printf '%s\n%s\n%s\n' "$1" "$2" "$3"; }

deliver() {
  address=$(cat "$folder/address")
  printf '{ "outputs": { "address": "%s" }, "resources": [{ "address": "server", "type": "process", "id": "%s" }] }\n' \
    "$address" "$(cat "$folder/pid")" >"$GLASSHOUSE_RESULT"
}

# Waits at most ten seconds until the command succeeds.
wait_until() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || return 1
    sleep 0.1
  done
}
