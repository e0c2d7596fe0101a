# Becomes a program.
exec "$@"
