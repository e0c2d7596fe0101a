# Says where agents keep their settings: the state folder, then, for each variable that is named,
# what it is set to and where that really leads.
printf '%s\n' "${QD_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/quarterdeck}"
for name; do
	eval "value=\${$name-}"
	printf '%s\n%s\n' "$value" "$(cd "$value" 2>/dev/null && pwd -P)"
done
