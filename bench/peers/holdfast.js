// Holdfast's own side: `holdfast bench` measures itself, by the same counters, with workers and
// load in processes of their own, in a schema that it makes and drops. All that depends on its
// options is in SCENARIOS. Settings are its defaults, one worker with 16 threads, but for the
// number of live runs in fan-out, which is that of its own scenarios.
import { spawn } from 'node:child_process';
import { medians } from './statistics.js';

// variant: which of the scenario's results; several of one variant are repeats, as --in-flight
// makes them alike. units: how many times those of the peers, so that it lasts long enough.
const SCENARIOS = {
    'noop': { name: 'scale-1', variant: null, units: 2 },
    'fan-out': { name: 'fan-out', variant: '0 ms', units: 20, remoteUnits: 100,
        inFlight: 2000, remoteInFlight: 10_000 },
    'latency': { name: 'latency', variant: '1 task', units: 1 },
};

const running = new Set();

export function interruptHoldfast() {
    running.forEach((child) => child.kill('SIGINT'));
}

function run(program, args) {
    return new Promise((resolve, reject) => {
        const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
        const text = { out: '', err: '' };
        running.add(child);
        child.stdout.on('data', (bytes) => { text.out += bytes; });
        child.stderr.on('data', (bytes) => { text.err += bytes; });
        child.on('error', reject);
        child.on('close', (code) => {
            running.delete(child);
            if (code === 0)
                resolve(text.out);
            else
                reject(new Error(text.err.trim().split('\n').at(-1) || `it exits with ${code}`));
        });
    });
}

function argsOf(scenario, { url, units, rttMs }) {
    const times = (rttMs && scenario.remoteUnits) || scenario.units;
    const inFlight = rttMs ? scenario.remoteInFlight : scenario.inFlight;
    return ['bench', scenario.name, '--store', url, '--repeat', '1', '--json', '-',
        '--tasks', String(units * times),
        ...(inFlight ? ['--in-flight', String(inFlight)] : []),
        ...(rttMs ? ['--rtt', String(rttMs)] : [])];
}

// The shape of peer.js.
export async function measureHoldfast(workload, { program, ...given }) {
    const scenario = SCENARIOS[workload];
    const { results } = JSON.parse(await run(program, argsOf(scenario, given)));
    const runs = results.filter((r) => (r.variant ?? null) === scenario.variant);
    if (runs.length === 0)
        throw new Error(`holdfast bench ${scenario.name} has no result of ${scenario.variant}`);
    const result = medians(runs);
    const { worker, load, server } = result.cpu_s_per_1000;
    return {
        units: result.units,
        throughput_per_s: result.throughput_per_s,
        enqueue_per_s: workload === 'noop' ? result.enqueue_per_s : null,
        latency_ms: result.latency_ms,
        per_unit: result.per_unit,
        cpu_s_per_1000: { client: worker === null || load === null ? null : worker + load, server },
    };
}
