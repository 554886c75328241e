# Helpers of the transcripts of the SQL API (tests/sql_*.t), after cli.bash and pg.bash: a database
# with the schema, and questions to it.

# schema NAME: a new database with the schema, its URL in $db
schema()
{
    db=$(pg_database "$1")
    {
        echo 'create schema if not exists holdfast;'
        cat "$root"/sql/postgres/migrations/*.sql
        LC_ALL=C cat "$root"/sql/postgres/functions/*.sql
    } | psql -Xq -v ON_ERROR_STOP=1 -d "$db" > install.txt 2>&1 ||
        { echo "Bail out! $(head -3 install.txt)"; exit 1; }
}

# ask SQL: sets code, out and err; statements in one call are one transaction only if they say so
ask()
{
    out=$(psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=sqlstate -d "$db" 2> err.txt <<< "$1")
    code=$?
    err=$(cat err.txt)
}

# is EXPECTED NAME SQL; fails SQLSTATE NAME SQL; plan INDEX NAME SQL: it uses that index and no
# sequential scan of a table of ours
is() { ask "$3"; [ "$code" = 0 ] && [ "$out" = "$1" ]; result $? "$2"; }
fails() { ask "$3"; [ "$code" != 0 ] && grep -q "ERROR:  $1\$" err.txt; result $? "$2"; }
says_error()
{
    out=$(psql -XAtq -d "$db" -c "$3" 2> err.txt)
    code=$?
    err=$(cat err.txt)
    grep -qF "ERROR:  $1" err.txt
    result $? "$2"
}
