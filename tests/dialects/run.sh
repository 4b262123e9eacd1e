#!/bin/sh
# Towline with endpoints that answer like real ones. Arguments go to pytest: -k drpc-batch runs that row.
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../integration/run.sh" "$here" "$@"
