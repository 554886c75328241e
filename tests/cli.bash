# Helpers of the transcripts (tests/cli_*.t): each runs in a directory of its own, ends the workers
# that it started, and speaks TAP. The command is $HOLDFAST, the build's directory $BUILD.

set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$root/build}
holdfast=${HOLDFAST:-$BUILD/holdfast}
slow=${TEST_SLOW:-1}
unset HOLDFAST_STORE
workers=()
tests=0
failed=0

dir=$(mktemp -d)
cd "$dir" || exit 1

finish()
{
    for pid in ${workers[@]+"${workers[@]}"}; do
        kill -9 "$pid" 2> /dev/null
    done
    wait 2> /dev/null
    cd / && rm -rf "$dir"
    echo "1..$tests"
    exit $((failed > 0))
}
trap finish EXIT

# result CODE NAME: a test that did well if CODE is 0
result()
{
    tests=$((tests + 1))
    if [ "$1" = 0 ]; then
        echo "ok $tests - $2"
    else
        failed=$((failed + 1))
        echo "not ok $tests - $2"
        sed 's/^/# exit  /' <<< "$code"
        sed 's/^/# out   /' <<< "$out" | head -20
        sed 's/^/# err   /' <<< "$err" | head -20
    fi
}

# run WORDS: the command; sets code, out and err
code=0 out='' err=''
run()
{
    out=$("$holdfast" "$@" 2> err.txt < "${input:-/dev/null}")
    code=$?
    err=$(cat err.txt)
}

# exits CODE NAME; prints TEXT NAME (standard output is exactly that); says PATTERN NAME (a line of
# standard output matches); complains PATTERN NAME (standard error is one line and matches)
exits() { [ "$code" = "$1" ]; result $? "$2"; }
prints() { [ "$out" = "$1" ]; result $? "$2"; }
says() { grep -qE -- "$1" <<< "$out"; result $? "$2"; }
says_not() { ! grep -qE -- "$1" <<< "$out"; result $? "$2"; }
complains()
{
    [ "$(wc -l < err.txt)" = 1 ] && grep -qE -- "^holdfast: $1" err.txt
    result $? "$2"
}

# json EXPRESSION: what a Perl expression on the parsed output $j gives
json()
{
    perl -MJSON::PP -e 'binmode STDOUT, ":utf8"; my $j = decode_json(do { local $/; <STDIN> }); my $v = eval $ARGV[0];
        print(ref $v ? JSON::PP->new->canonical->encode($v) : $v // "null")' "$1" <<< "$out"
}
# has EXPRESSION VALUE NAME
has() { [ "$(json "$1")" = "$2" ]; result $? "$3"; }

# until_true SECONDS COMMAND: polls
until_true()
{
    local end=$((SECONDS + $1 * slow))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -ge "$end" ] && return 1
        sleep 0.05
    done
}

# worker WORDS: starts one in the background; its pid is in $worker, its log in worker.log
worker()
{
    "$holdfast" worker "$@" > worker.out 2>> worker.log &
    worker=$!
    workers+=("$worker")
}

# stop_worker: asks the last one to stop; its exit code is in $code
stop_worker()
{
    kill -TERM "$worker"
    wait "$worker"
    code=$?
}
