// PgQ, Debian's extension, by its SQL interface. It keeps no state of a single event: a consumer
// finishes a batch, the events between two ticks, as a whole; its tables are emptied by rotation.
// So it does less than the others, and cheaply.
// Settings, by its documentation ("PGQ Tutorial", wiki.postgresql.org): events go in by
// insert_event, 1,000 in a transaction, with a tick behind each (the default of ticker_max_count
// is 500); one consumer loops over next_batch, get_batch_events and finish_batch. There is no
// latency: it would be the ticker's interval, seconds, by design. Its script is run with the path
// of a copy of its library: so nothing is installed.
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

export const peer = { workloads: ['noop'], needs: 'pgq' };

const BATCH = 1000;

async function connect(url) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return client;
}

// The script for those who do not make an extension of it.
function scriptOf(unpacked) {
    const version = readdirSync(join(unpacked, 'usr/share/postgresql'))[0];
    const script = join(unpacked, 'usr/share/postgresql', version, 'contrib/pgq.sql');
    return { text: readFileSync(script, 'utf8'),
        library: join(unpacked, 'usr/lib/postgresql', version, 'lib') };
}

// Where the server, which is another user, can read them: the directory of the throw-away server.
function shareLibraries(from, directory) {
    const to = mkdtempSync(join(directory, 'pgq-'));
    chmodSync(to, 0o755);
    for (const name of readdirSync(from).filter((file) => file.endsWith('.so'))) {
        copyFileSync(join(from, name), join(to, name));
        chmodSync(join(to, name), 0o755);
    }
    return to;
}

export async function setup({ url, unpacked, directory }) {
    if (!directory)
        throw new Error('its library cannot be loaded by the server of --store');
    const { text, library } = scriptOf(unpacked);
    const libraries = shareLibraries(library, directory);
    const client = await connect(url);
    await client.query(text.replaceAll('$libdir', libraries));
    await client.query("select pgq.create_queue('noop'), pgq.register_consumer('noop', 'bench')");
    await client.query("select pgq.ticker('noop')");
    await client.end();
}

export async function enqueue({ url, units, measured }) {
    const client = await connect(url);
    const events = Array.from({ length: BATCH }, (_, n) => JSON.stringify({ n }));
    await measured(async () => {
        for (let left = units; left > 0; left -= BATCH) {
            await client.query({ name: 'insert',
                text: `select count(pgq.insert_event('noop', 'noop', data))
                         from unnest($1::text[]) data`,
                values: [events.slice(0, left)] });
            await client.query({ name: 'tick', text: "select pgq.ticker('noop')" });
        }
    });
    await client.query("select pgq.force_tick('noop')"); // what is left becomes a batch
    await client.query("select pgq.ticker('noop')");
    await client.end();
}

export async function work({ url, units, measured }) {
    const client = await connect(url);
    const noop = () => {};
    await measured(async () => {
        for (let left = units; left > 0;) {
            const { rows: [{ batch }] } = await client.query({ name: 'next',
                text: "select pgq.next_batch('noop', 'bench') as batch" });
            if (batch === null)
                throw new Error(`${left} events are in no batch`);
            const { rows } = await client.query({ name: 'events',
                text: 'select ev_id, ev_data from pgq.get_batch_events($1)', values: [batch] });
            rows.forEach(noop);
            await client.query({ name: 'finish',
                text: 'select pgq.finish_batch($1)', values: [batch] });
            left -= rows.length;
        }
    });
    await client.end();
}
