#!/bin/sh
# Every NAME_FILE of the environment becomes NAME, with the file's content: secrets come by file and
# stand neither in the compose file nor in `docker inspect`.  An unreadable one ends the start.
set -eu

for variable in $(env | sed -n 's/^\([A-Z][A-Z0-9_]*\)_FILE=.*/\1/p'); do
    eval "path=\${${variable}_FILE}"
    if [ ! -r "$path" ]; then
        echo "error: cannot read the secret of $variable ($path): check its owner and mode" >&2
        exit 2
    fi
    content=$(cat "$path")
    export "$variable=$content"
    unset "${variable}_FILE"
done

exec "$@"
