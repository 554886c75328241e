# A throw-away PostgreSQL server for transcripts, to be sourced after cli.bash: pg.h's, by pg_serve,
# which ends with the script, however that ends.
#
#   pg_start [--fast] [--tcp] [--settings LINES]   sets pg_url, pg_dir, pg_port, pg_pid
#   pg_ask stop fast|immediate|kill; pg_ask start; pg_ask bouncer [a=1;b=2]; pg_ask bouncer-stop
#   pg_database NAME                               an empty database; prints its URL
#   pg_bouncer_url DATABASE                        prints it, after pg_ask bouncer
#   pg_sql URL SQL                                 psql, tuples only

pg_requests=0

pg_answer()
{
    local number status rest
    while read -r -u "$pg_out" number status rest; do
        [ "$number" = "$1" ] || continue
        if [ "$status" != ok ]; then
            echo "Bail out! PostgreSQL: $rest"
            exit 1
        fi
        read -r pg_dir pg_port pg_pid pg_bouncer_port <<< "$rest"
        pg_url="postgresql://postgres@/postgres?host=$pg_dir&port=$pg_port"
        return
    done
    echo "Bail out! pg_serve has ended"
    exit 1
}

pg_start()
{
    coproc PG_SERVE { exec "$BUILD/tests/pg_serve" "$@"; }
    pg_out=${PG_SERVE[0]} pg_in=${PG_SERVE[1]}
    trap pg_end EXIT
    pg_answer 0
}

pg_end()
{
    echo "0 end" >&"$pg_in"
    finish
}

pg_ask()
{
    pg_requests=$((pg_requests + 1))
    echo "$pg_requests $*" >&"$pg_in"
    pg_answer "$pg_requests"
}

pg_sql() { psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }

pg_database()
{
    pg_sql "$pg_url" "drop database if exists $1 with (force)" 2> /dev/null
    pg_sql "$pg_url" "create database $1"
    echo "postgresql://postgres@/$1?host=$pg_dir&port=$pg_port"
}

pg_bouncer_url() { echo "postgresql://postgres@/$1?host=$pg_dir&port=$pg_bouncer_port"; }
