# Says what there is. Its arguments are tmux and its option for the socket (two words).
printf 'clock %s\n' "$(date +%s.%N)"
printf 'user %s\nsystem %s\nshell %s\npath %s\n' "$(id -un)" "$(uname -srm)" "$SHELL" "$PATH"
printf 'tmux %s\n' "$(command -v "$1")"
printf 'version %s\n' "$("$1" -V 2>&1)"
printf 'server %s\n' "$("$1" -N "$2" "$3" display-message -p '#{version}, process #{pid}' 2>&1 </dev/null)"
state=${QD_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/quarterdeck}
printf 'state %s\n' "$state"
[ ! -x "$state/hook" ] || printf 'hook %s\n' "$state/hook"
[ ! -f "$state/spool/hooks.spool" ] || printf 'spool %s\n' "$(wc -c <"$state/spool/hooks.spool")"
