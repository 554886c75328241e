#!/bin/sh
# The lint is a test like the others.
exec "$(dirname "$0")/../scripts/lint"
