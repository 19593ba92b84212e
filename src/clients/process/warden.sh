#!/bin/sh
# The warden of one child: the tie between the server and what it started.
#
#   warden.sh SCOPE STOPS_WITHIN_S ENV SLEEP PROGRAM [ARGUMENT ...]
#
# SCOPE says what ends with the child: `namespace` (this shell is pid 1 of a pid namespace, so everything), `group` (what is
# still in this process group), `alone` (nothing: the child is meant to leave processes). ENV and SLEEP are the paths of
# those tools, because PATH belongs to the child; ENV is empty where `env --default-signal` does not exist.
#
# Descriptors 7 and 9 are sockets to the server, the only tie there is; the child does not inherit them. The warden says
# `ready` on 9, waits on 7 for `go`, then obeys `interrupt` and `kill`. End of file means that the server died: before `go`
# nothing is started; after it the child gets its SIGINT, STOPS_WITHIN_S seconds, and SIGKILL. There are two, because a server
# that writes to a warden that has just ended loses, with the socket, what it had not read yet: how the child ended.
#
# `lease SECONDS`, with two decimals, may come at any time and again and again: when that time is over without another such
# line, the warden does as if the server had died, because by then the server may not know any more what is its own. It
# counts on /proc/uptime; without that there is no such end.

warden_scope=$1 warden_stops=$2 warden_env=$3 warden_sleep=$4 warden_asked='' warden_end='' warden_timer=''
shift 4

# A background job of sh reads /dev/null, so the child's input is kept aside.
exec 8<&0 </dev/null

# Sets `warden_now`: hundredths of a second since boot, or nothing.
look_at_clock() {
  warden_now=
  read -r warden_now warden_rest 2>/dev/null </proc/uptime || return 1
  warden_now=${warden_now%.*}${warden_now#*.}
}

# Keeps the end of the lease that the server granted.
hold_for() {
  look_at_clock || return 1
  warden_end=$((warden_now + ${1%.*} * 100 + 1${1#*.} - 100))
}

# True from half a second before the end, so that nothing meets a timer that goes off in the same moment.
is_over() {
  [ -n "$warden_end" ] && look_at_clock && [ "$warden_now" -ge $((warden_end - 50)) ]
}

watch_server() {
  trap 'stop_timer; exit 0' TERM
  [ -z "$warden_end" ] || set_timer
  while IFS= read -r warden_word <&7; do
    [ "$warden_word" != kill ] || kill -KILL "$warden_child" 2>/dev/null
    # After the end of the lease the timer does what is to be done, and does it once.
    ! is_over || continue
    case $warden_word in
      lease\ *) hold_for "${warden_word#lease }" && set_timer ;;
      interrupt)
        interrupt
        # The timer learns that the child has had its SIGINT.
        [ -z "$warden_end" ] || set_timer
        ;;
    esac
  done
  ! is_over || return
  stop_timer
  end_child
}

# Ends the child at the end of the lease, in a process of its own, because `read` knows no time limit.
set_timer() {
  stop_timer
  look_at_clock || return 0
  warden_left=$((warden_end - warden_now))
  [ "$warden_left" -gt 0 ] || warden_left=0
  warden_tail=$((warden_left % 100))
  [ "$warden_tail" -gt 9 ] || warden_tail=0$warden_tail
  # A trap that the timer begins with swallows a signal that comes before it has set its own.
  trap - TERM
  (
    trap 'kill "$warden_nap" 2>/dev/null; exit' TERM
    "$warden_sleep" "$((warden_left / 100)).$warden_tail" >/dev/null 2>&1 &
    warden_nap=$!
    wait "$warden_nap"
    trap '' TERM
    is_same_child && end_child
  ) 7<&- 9>&- &
  warden_timer=$!
  trap 'stop_timer; exit 0' TERM
}

stop_timer() {
  [ -n "$warden_timer" ] || return 0
  kill -TERM "$warden_timer" 2>/dev/null
  wait "$warden_timer" 2>/dev/null
  warden_timer=
}

# The child gets its SIGINT, its time and SIGKILL. The time is counted on the clock where there is one: many naps take longer
# than their sum.
end_child() {
  interrupt
  if look_at_clock; then warden_last=$((warden_now + warden_stops * 100)); else warden_last=; fi
  while [ "$warden_stops" -gt 0 ] && kill -0 "$warden_child" 2>/dev/null; do
    "$warden_sleep" 0.5 7<&- 9>&-
    if [ -n "$warden_last" ] && look_at_clock; then
      [ "$warden_now" -lt "$warden_last" ] || warden_stops=0
    else
      "$warden_sleep" 0.5 7<&- 9>&-
      warden_stops=$((warden_stops - 1))
    fi
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
    "$warden_sleep" 0.02 7<&- 9>&-
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

# When the child was born, in ticks since boot: its pid may belong to another process once it has ended.
birth_of_child() {
  read -r warden_stat 2>/dev/null <"/proc/$warden_child/stat" || return 1
  set -- ${warden_stat##*) }
  warden_birth=${20}
}

is_same_child() {
  warden_known=$warden_birth
  birth_of_child && [ "$warden_birth" = "$warden_known" ]
}

printf 'ready\n' >&9
while IFS= read -r warden_word <&7; do
  case $warden_word in
    lease\ *) hold_for "${warden_word#lease }" ;;
    *) break ;;
  esac
done
[ "$warden_word" = go ] && ! is_over || exit 0

trap '' INT QUIT
${warden_env:+"$warden_env" --default-signal=INT,QUIT} "$@" <&8 8<&- 7<&- 9>&- &
warden_child=$!
birth_of_child
exec 8<&-
trap '' PIPE
watch_server 9>&- &
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
