#!/bin/sh
# Durable shell commands: enqueues three tasks, works them off, shows what failed for good.
# Needs holdfast in $PATH (or $HOLDFAST). Works in a directory of its own.
set -eu
holdfast=${HOLDFAST:-holdfast}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export HOLDFAST_STORE=sqlite:shell.db

# Input comes on standard input, what is printed is the result.
$holdfast enqueue count-words --input 'to be or not to be'
# Exit code 75 means "try again": this one does well at its second attempt.
$holdfast enqueue second-try --first-delay 100ms
# Any other code is final: it becomes a dead letter.
$holdfast enqueue broken

$holdfast worker --drain 2> worker.log \
    --exec 'count-words=wc -w > words.txt' \
    --exec 'second-try=[ "$HOLDFAST_ATTEMPT" -ge 2 ] && touch tried-again || exit 75' \
    --exec 'broken=echo "no such customer" >&2; exit 3'

echo "words: $(tr -d ' ' < words.txt)"
test -e tried-again && echo "the second try did well"
$holdfast task list
