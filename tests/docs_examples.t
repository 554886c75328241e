#!/bin/sh
# What README and tutorial show is built and run, word for word, in a directory of its own.
root=$(cd "$(dirname "$0")/.." && pwd)
exec "$root/scripts/run-docs" "$root/README.md" "$root/docs/tutorial.md"
