# Stays for as long as the connection does: greets, and answers each line of its input. At the end
# of its input it ends.
mark=$1
boot=
[ -r /proc/sys/kernel/random/boot_id ] && read -r boot </proc/sys/kernel/random/boot_id
printf '%s %s %s %s\n' "$mark" hello "$(date +%s)" "$boot"
while IFS= read -r question; do
	case $question in
	clock) printf '%s clock %s\n' "$mark" "$(date +%s)" ;;
	*) printf '%s %s\n' "$mark" "$question" ;;
	esac
done
