#!/bin/sh
# The warden of one child: the tie between the server and what it started.
#
#   warden.sh SCOPE STOPS_WITHIN_S ENV SLEEP PROGRAM [ARGUMENT ...]
#
# SCOPE says what ends with the child: `namespace` (this shell is pid 1 of a pid namespace, so everything), `group` (what is
# still in this process group), `alone` (nothing: the child is meant to leave processes). ENV and SLEEP are the paths of
# those tools, because PATH belongs to the child; ENV is empty where `env --default-signal` does not exist.
#
# Descriptor 9 is the socket to the server, the only tie there is; the child does not inherit it. The warden says `ready`,
# waits for `go`, then obeys `interrupt` and `kill`. End of file means that the server died: before `go` nothing is
# started; after it the child gets its SIGINT, STOPS_WITHIN_S seconds, and SIGKILL.

warden_scope=$1 warden_stops=$2 warden_env=$3 warden_sleep=$4 warden_asked=
shift 4

# A background job of sh reads /dev/null, so the child's input is kept aside.
exec 8<&0 </dev/null

watch_server() {
  while IFS= read -r warden_word <&9; do
    case $warden_word in
      interrupt) interrupt ;;
      kill) kill -KILL "$warden_child" 2>/dev/null ;;
    esac
  done
  interrupt
  while [ "$warden_stops" -gt 0 ] && kill -0 "$warden_child" 2>/dev/null; do
    "$warden_sleep" 1 9<&-
    warden_stops=$((warden_stops - 1))
  done
  kill -KILL "$warden_child" 2>/dev/null
}

# One SIGINT in a life: terraform takes a second one as "stop at once" and loses state. A background job of sh ignores
# SIGINT; where nothing can reset that, SIGTERM has to do.
interrupt() {
  [ -z "$warden_asked" ] || return 0
  warden_asked=yes
  [ -n "$warden_env" ] || kill -TERM "$warden_child" 2>/dev/null
  warden_tries=100
  while [ "$warden_tries" -gt 0 ] && ignores_interrupt 2>/dev/null; do
    "$warden_sleep" 0.02 9<&-
    warden_tries=$((warden_tries - 1))
  done
  kill -INT "$warden_child" 2>/dev/null
}

# SIGINT is ignored from the child's first moment until `env` has reset it: a signal sent meanwhile would be lost.
ignores_interrupt() {
  while read -r warden_key warden_value; do
    case $warden_key$warden_value in
      SigIgn:*[2367abef]) return 0 ;;
      SigIgn:*) return 1 ;;
    esac
  done <"/proc/$warden_child/status"
  return 1
}

printf 'ready\n' >&9
IFS= read -r warden_word <&9 && [ "$warden_word" = go ] || exit 0

trap '' INT QUIT
${warden_env:+"$warden_env" --default-signal=INT,QUIT} "$@" <&8 8<&- 9<&- &
warden_child=$!
exec 8<&-
trap '' PIPE
watch_server &
warden_watcher=$!

wait "$warden_child"
warden_status=$?
# A warden that is killed says nothing: that is how the server knows.
printf 'exit %s\n' "$warden_status" >&9 2>/dev/null
case $warden_scope in
  group) kill -KILL 0 ;;
  alone) kill "$warden_watcher" ;;
esac
exit "$warden_status"
