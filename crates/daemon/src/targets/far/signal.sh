# Sends a signal to a process, if it is still the one that began at this tick after the boot.
pid=$1
began=$2
signal=$3
stat=$(cat "/proc/$pid/stat" 2>/dev/null) || { echo gone; exit; }
set -- ${stat##*) }
shift 19 2>/dev/null || { echo gone; exit; }
[ "$1" = "$began" ] || { echo other; exit; }
if kill -s "$signal" "$pid" 2>/dev/null; then
	kill -s CONT "$pid" 2>/dev/null
	echo sent
else
	echo denied
fi
