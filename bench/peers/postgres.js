// The PostgreSQL server of a comparison: a throw-away one (tests/pg_serve.c, which ends with its
// standard input, so also when this program is killed), or the one of --store.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { PostgresMeter, postmasterOf } from './measure.js';

// fsync and synchronous_commit are on. No checkpoint comes by time, and one is made before each
// database, so that no measurement pays for another one's full page images.
export const SETTINGS = `shared_buffers = 1GB
max_wal_size = 8GB
checkpoint_timeout = 1h
max_connections = 500
synchronous_commit = on
pg_stat_statements.track_planning = off`;

async function serve(program) {
    const child = spawn(program, ['--tcp', '--settings', SETTINGS], {
        stdio: ['pipe', 'pipe', 'inherit'],
        detached: true, // an interrupt from the terminal comes to us alone
    });
    child.stdin.on('error', () => {});
    for await (const line of createInterface({ input: child.stdout })) {
        const [, status, directory, port, ...rest] = line.split(' ');
        if (status !== 'ok')
            throw new Error(`no PostgreSQL server: ${[directory, port, ...rest].join(' ')}`);
        return { child, directory, url: `postgresql://postgres@127.0.0.1:${port}/postgres` };
    }
    throw new Error('pg_serve has ended');
}

export class Postgres {
    static async open(program, url) {
        const own = url ? {} : await serve(program);
        const server = new Postgres();
        Object.assign(server, { child: own.child, directory: own.directory, url: url ?? own.url });
        server.client = new pg.Client({ connectionString: server.url });
        server.client.on('error', () => {});
        await server.client.connect();
        await server.query('create extension if not exists pg_stat_statements');
        const [{ pid }] = await server.query('select pg_backend_pid() as pid');
        server.postmaster = postmasterOf(pid);
        return server;
    }

    async query(text) {
        return (await this.client.query(text)).rows;
    }

    async settings() {
        const rows = await this.query(`select name, current_setting(name) as value from pg_settings
            where name in ('server_version', 'fsync', 'synchronous_commit', 'shared_buffers',
                           'max_wal_size', 'full_page_writes', 'wal_compression') order by name`);
        return Object.fromEntries(rows.map((row) => [row.name, row.value]));
    }

    // An empty database, and the URL of it.
    async create(name) {
        await this.drop(name);
        await this.query('checkpoint');
        await this.query(`create database ${name}`);
        const url = new URL(this.url);
        url.pathname = `/${name}`;
        const client = new pg.Client({ connectionString: url.href });
        await client.connect();
        await client.query('create extension pg_stat_statements'); // for holdfast bench
        await client.end();
        return url.href;
    }

    async drop(name) {
        await this.query(`drop database if exists ${name} with (force)`);
    }

    meter(name) {
        return new PostgresMeter(this.client, name, this.postmaster);
    }

    async close() {
        await this.client?.end().catch(() => {});
        if (!this.child)
            return;
        const gone = new Promise((resolve) => this.child.once('exit', resolve));
        this.child.stdin.end();
        await gone;
    }
}
