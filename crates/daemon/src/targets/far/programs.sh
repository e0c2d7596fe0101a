# Prints what these processes run: their arguments, then where their programs lie.
for pid; do
	printf '%s arguments ' "$pid"
	cat "/proc/$pid/cmdline" 2>/dev/null | tr '\000\n' '\036\037'
	echo
done
for pid; do
	printf '%s program %s\n' "$pid" "$(readlink "/proc/$pid/exe" 2>/dev/null)"
done
