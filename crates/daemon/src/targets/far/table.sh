# Prints the state of every process but the kernel's own, as the kernel does: zeros stand for what
# nobody needs, and what is behind the bottom of the stack is left out. Without sed it is all of it.
cat /proc/[0-9]*/stat 2>/dev/null | {
	LC_ALL=C
	export LC_ALL
	command -v sed >/dev/null || exec cat
	exec sed -n '
/) [A-Z] 2 0 0 0 -1 [^)]*$/d
s/^\(.*)\( [^ ]*\)\{7\}\)\( [^ ]*\)\{12\}\( [^ ]*\)\( [^ ]*\)\{5\}\( [^ ]*\).*$/\1 0 0 0 0 0 0 0 0 0 0 0 0\4 0 0 0 0 0\6/p'
}
echo
