// One measurement of a peer: its phases one after another, each in a process of its own
// (child.js), on an empty database or a new Redis, through a relay if the workload is remote.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PHASES } from './options.js';
import { difference } from './measure.js';
import { percentiles } from './statistics.js';
import { openRelay } from './relay.js';

const PHASE_LIMIT_MS = 300_000;
const CHILD = fileURLToPath(new URL('child.js', import.meta.url));
const children = new Set();

export function killChildren() {
    children.forEach((child) => child.kill('SIGKILL'));
}

// Runs a phase; `onMessage` answers what the child says. Its last message.
function converse(adapter, phase, parameters, onMessage) {
    return new Promise((resolve, reject) => {
        const child = fork(CHILD, [adapter, phase, JSON.stringify(parameters)], {
            stdio: ['ignore', 'ignore', process.env.PEERS_DEBUG ? 'inherit' : 'ignore', 'ipc'],
        });
        children.add(child);
        let last = {};
        const timer = setTimeout(() => {
            last = { error: `${phase} takes more than ${PHASE_LIMIT_MS / 1000} s` };
            child.kill('SIGKILL');
        }, PHASE_LIMIT_MS);
        child.on('error', reject);
        child.on('message', (message) => {
            last = message;
            Promise.resolve(onMessage(message, child)).catch((error) => {
                last = { error: error.message };
                child.kill('SIGKILL');
            });
        });
        child.on('exit', (code, signal) => {
            clearTimeout(timer);
            children.delete(child);
            if (last.error || code !== 0)
                reject(new Error(last.error ?? `${phase} ends with ${signal ?? code}`));
            else
                resolve(last);
        });
    });
}

// What the adapter says of itself.
export async function describe(adapter) {
    return (await converse(adapter, 'describe', {}, () => {})).peer;
}

async function runPhase(adapter, phase, parameters, meter) {
    let before, after;
    const commits = await meter.commits();
    const outcome = await converse(adapter, phase, parameters, async (message, child) => {
        if (message.ready) {
            before = await meter.read();
            child.send('go');
        } else if (message.done) {
            after = await meter.read();
            child.send('end');
        }
    });
    const spent = { ...difference(after, before),
        commits: difference({ n: await meter.commits() }, { n: commits }).n };
    return { ...outcome, units: parameters.units, spent };
}

// A sum that is unknown if a part of it is.
function sum(phases, value) {
    const values = phases.map(value);
    return values.includes(null) ? null : values.reduce((total, v) => total + v, 0);
}

function combine(workload, phases) {
    const last = phases.at(-1);
    const perUnit = (value, n = 1) =>
        sum(phases, (p) => (value(p) === null ? null : value(p) / p.units * n));
    return {
        units: last.units,
        throughput_per_s: last.units / last.seconds,
        enqueue_per_s: workload === 'noop' ? phases[0].units / phases[0].seconds : null,
        latency_ms: { start: percentiles(last.start), result: percentiles(last.result) },
        per_unit: {
            statements: perUnit((p) => p.spent.statements),
            commits: perUnit((p) => p.spent.commits),
            wal_bytes: perUnit((p) => p.spent.bytes),
        },
        cpu_s_per_1000: {
            client: perUnit((p) => p.cpu, 1000),
            server: perUnit((p) => p.spent.cpu, 1000),
        },
    };
}

// `server` is open, with `url` and `meter`. What holdfast.js gives too.
export async function measurePeer(adapter, workload, given) {
    const { server, meter, units, rttMs, directory, unpacked } = given;
    const relay = rttMs ? await openRelay(server.url, rttMs) : null;
    const parameters = { url: relay?.url ?? server.url, units, remote: rttMs > 0, directory,
        unpacked };
    try {
        await converse(adapter, 'setup', { ...parameters, url: server.url }, () => {});
        const phases = [];
        for (const phase of PHASES[workload])
            phases.push(await runPhase(adapter, phase, parameters, meter));
        return combine(workload, phases);
    } finally {
        relay?.close();
    }
}
