#!/bin/sh
# Towline on endpoints that answer as real ones do. Arguments go to pytest: -k drpc-batch runs that row.
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../integration/run.sh" "$here" "$@"
