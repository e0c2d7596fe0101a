# In front of what reads a long text: passes it on, and says behind the mark how much has come. That is
# another line than the one which says how all of it ended.
qd_mark=$1
qd_newline='
'
exec 9>&1
qd_relay() {
	LC_ALL=C
	export LC_ALL
	while qd_read=$(dd bs=65536 count=1 2>&1 >&8); do
		qd_read=${qd_read##*"$qd_newline"}
		qd_read=${qd_read%% *}
		case $qd_read in
		0) return ;;
		*[!0-9]*) break ;;
		esac
		printf '%s+%s\n' "$qd_mark" "$qd_read" >&9
	done 8>&1
	# Nobody can say how much: nobody need wait for it.
	printf '%s+all\n' "$qd_mark" >&9
	exec cat
}
