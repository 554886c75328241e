// What a server has spent so far. A meter is read before and after a phase, and the difference is
// what the phase cost: statements, commits, bytes written to the log, CPU seconds. null is
// unknown.
import { readFileSync, readdirSync } from 'node:fs';

const TICKS_A_SECOND = 100;

// Of /proc/PID/stat, behind the name: the parent, and the CPU seconds of the process itself and of
// its children that have ended.
function processTimes(pid) {
    let text;
    try {
        text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
        return null;
    }
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { name, parent: Number(fields[1]), seconds: ticks / TICKS_A_SECOND };
}

function cpuOfTree(root) {
    let seconds = processTimes(root)?.seconds ?? null;
    if (seconds === null)
        return null;
    for (const entry of readdirSync('/proc')) {
        const times = /^\d+$/.test(entry) ? processTimes(entry) : null;
        if (times?.parent === root)
            seconds += times.seconds;
    }
    return seconds;
}

// The process that started a server's process, if both are PostgreSQL's and on this machine.
export function postmasterOf(backend) {
    const own = processTimes(backend);
    const parent = own?.name === 'postgres' ? processTimes(own.parent) : null;
    return parent?.name === 'postgres' ? own.parent : null;
}

// `client` is connected to another database, so that its own statements are not counted.
export class PostgresMeter {
    constructor(client, database, postmaster) {
        Object.assign(this, { client, database, postmaster });
    }

    async read() {
        const { rows: [row] } = await this.client.query(
            `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes,
                    (select sum(calls)::float8 from pg_stat_statements(false) s
                       join pg_database d on d.oid = s.dbid where d.datname = $1) as statements`,
            [this.database]);
        const cpu = this.postmaster ? cpuOfTree(this.postmaster) : null;
        return { statements: row.statements ?? 0, bytes: row.bytes, cpu };
    }

    // A server's process tells how many it has committed when its client goes: this waits for that.
    async commits() {
        for (let i = 0; i < 200; i++) {
            const { rows: [row] } = await this.client.query(
                `select (select count(*)::int from pg_stat_activity where datname = $1) as sessions,
                        (select xact_commit::float8 from pg_stat_database
                          where datname = $1) as commits`,
                [this.database]);
            if (row.sessions === 0)
                return row.commits;
            await new Promise((resolve) => setTimeout(resolve, 25));
        }
        return null;
    }
}

// Redis: bytes are those of the append-only file; there are neither statements nor commits.
export class RedisMeter {
    constructor(pid, appendOnlyBytes) {
        Object.assign(this, { pid, appendOnlyBytes });
    }

    async read() {
        const cpu = processTimes(this.pid)?.seconds ?? null;
        return { statements: null, bytes: await this.appendOnlyBytes(), cpu };
    }

    async commits() {
        return null;
    }
}

export function difference(after, before) {
    return Object.fromEntries(Object.keys(after).map((key) =>
        [key, after[key] === null || before[key] === null ? null : after[key] - before[key]]));
}
