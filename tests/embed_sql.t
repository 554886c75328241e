#!/usr/bin/perl
# scripts/embed-sql: what the C compiler sees is what the .sql files say, byte for byte where it
# matters: an engine must not run a statement that nobody wrote.
use strict;
use warnings;
use File::Temp 'tempdir';
use FindBin;
use Test::More;

my $embed = "$FindBin::Bin/../scripts/embed-sql";
my $cc = $ENV{CC} || 'cc';
my $top = tempdir(CLEANUP => 1);
my $n = 0;

# A directory store of these files; its path.
sub directory
{
    my %files = @_;
    my $dir = "$top/" . ++$n . '/store';
    mkdir $_ for $dir =~ s{/store$}{}r, $dir, "$dir/migrations", "$dir/functions";
    for (keys %files) {
        open my $f, '>:raw', "$dir/$_" or die "$_: $!";
        print $f $files{$_};
    }
    return $dir;
}

# What a C program finds in the header: { "statement NAME INDEX" => TEXT, ... }
sub embedded
{
    my $dir = directory(@_);
    system("$embed $dir > $dir/store_sql.h") == 0 or return {};
    open my $c, '>', "$dir/main.c" or die $!;
    print $c <<'END';
#include <stdio.h>
#include <string.h>
#include "store_sql.h"
static void out(const char *key, const char *text)
{
    printf("%s %zu\n%s", key, strlen(text), text);
}
int main(int argc, char **argv)
{
    if (argc > 1)
        out(argv[1], "");
#define X(name, index, text) out("statement " #name " " index, text);
    STORE_STATEMENTS(X)
#undef X
#define X(number, file, checksum, text) out("migration " #number " " file " " checksum, text);
    STORE_MIGRATIONS(X)
#undef X
#define X(name, text) out("function " name, text);
    STORE_FUNCTIONS(X)
    return 0;
}
END
    close $c;
    system("$cc -std=gnu11 -Wall -Werror -o $dir/main $dir/main.c") == 0 or die "$cc failed";
    open my $run, '-|:raw', "$dir/main" or die $!;
    my (%found, @order);
    while (my $line = <$run>) {
        my ($key, $size) = $line =~ /^(.*) (\d+)\n\z/ or die "odd: $line";
        read $run, $found{$key}, $size;
        push @order, $key;
    }
    $found{order} = \@order;
    return \%found;
}

my $body = <<'END';
-- Every byte of this file counts. "quotes", 'single', \ and \\n and %s and ??= and ??/
create or replace function f(a text) returns text language plpgsql as $body$
declare

    x text := 'it''s' || E'\'\n' || $q$ -- not a comment $q$;   
	tab constant text := '	';
begin
    /* a comment */ return x; -- and one more: größe
end $body$;
END
my $long = join '', map { "select $_ as column_number_$_;\n" } 1 .. 2000;

my $all = embedded(
    'a.sql' => <<'END',
-- It's a file's first comment, with an apostrophe.
select 'before the first name';

-- name: plain
-- It's the reason. ?1 run
-- index: task_fetch, primary key
select a, -- the reason for a, isn't it
       b   

  from t where c = '??(' and d = "e ""f""" and g like '\_%'; -- last
-- name: quotes
select '-- not a comment', '/* nor this */', "-- nor" /* but this
  -- and /* nested */ it's */ , 'two

   lines  
-- three', E'\'-- x', 'a\', -- a comment's quote
  $$ dollar's -- quote $$, $tag$ $$ -- inner $$
  $tag$, $1::text, a$b$c, '';
END
    'b.sql' => "-- name: unfinished\nselect 1",
    'migrations/010_ten.sql' => "create table ten (a int);\n",
    'migrations/002_two.sql' => "-- why\ncreate table two (a int default '1');\n\ninsert into x values ('a\n\nb');\n",
    'functions/20_b.sql' => $body,
    'functions/10_a.sql' => "create or replace view v as select 1",
    'functions/30_long.sql' => $long,
);
is($all->{'statement plain task_fetch, primary key'}, <<'END', 'a statement loses its comments only');
select a,
       b
  from t where c = '??(' and d = "e ""f""" and g like '\_%';
END
is($all->{'statement quotes '}, <<'END', 'what stands in quotes of any kind is kept');
select '-- not a comment', '/* nor this */', "-- nor"  , 'two

   lines  
-- three', E'\'-- x', 'a\',
  $$ dollar's -- quote $$, $tag$ $$ -- inner $$
  $tag$, $1::text, a$b$c, '';
END
is($all->{'statement unfinished '}, "select 1\n", 'a text ends with its line');
is($all->{'function 20_b'}, $body, 'a function is embedded byte for byte');
is($all->{'function 10_a'}, 'create or replace view v as select 1', 'with no byte added');
is($all->{'function 30_long'}, $long, 'a long function is whole');
my ($two) = grep { /^migration 2 / } keys %$all;
is($all->{$two}, "create table two (a int default '1');\ninsert into x values ('a\n\nb');\n",
    'a migration loses comments and blank lines outside of quotes');
is_deeply([grep { /^migration|^function/ } map { s/ [0-9a-f]{8}$//r } @{$all->{order}}],
    ['migration 2 002_two.sql', 'migration 10 010_ten.sql', 'function 10_a', 'function 20_b',
        'function 30_long'], 'migrations and functions come in order of their files');
my $sqlite = `$embed $FindBin::Bin/../sql/sqlite`;
my ($sum) = `cksum < $FindBin::Bin/../sql/sqlite/migrations/001_store.sql` =~ /^(\d+)/;
like($sqlite, qr/X\(1, "001_store.sql", "@{[sprintf '%08x', $sum]}",/, 'a checksum is cksum of the file');

my $postgres = directory('a.sql' => "-- name: first\nselect 1;\n-- name: then\n-- why\nwith x as (select 2)\n") =~ s{/store$}{}r;
rename "$postgres/store", "$postgres/postgres" or die $!;
my @named = `$embed $postgres/postgres` =~ /^ +"(\w+ \/\*.*)\\n"/mg;
is_deeply(\@named, ['select /* holdfast.first */ 1;', 'with /* holdfast.then */ x as (select 2)'],
    'a statement of PostgreSQL says its name');

is_deeply(embedded()->{order}, [], 'an empty directory gives empty lists');
for (['two statements of a name', "-- name: a\nselect 1;\n-- name: a\nselect 2;\n"],
    ['a statement without a text', "-- name: a\n-- why\n-- name: b\nselect 1;\n"],
    ['a zero byte', "-- name: a\nselect '\0';\n"]) {
    my $dir = directory('a.sql' => $_->[1]);
    isnt(system("$embed $dir > /dev/null 2>&1"), 0, "$_->[0]: refused");
}
done_testing;
