#!/bin/sh
# Every NAME_FILE of the environment whose NAME ends in KEY, PASSWORD, SECRET or TOKEN becomes NAME,
# with the file's content: secrets come by file and stand neither in the compose file nor in `docker
# inspect`.  An unreadable one ends the start.  Others (SSL_CERT_FILE) are wanted as files.
set -eu

for variable in $(env | sed -nE 's/^([A-Z][A-Z0-9_]*(KEY|PASSWORD|SECRET|TOKEN))_FILE=.*/\1/p'); do
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
