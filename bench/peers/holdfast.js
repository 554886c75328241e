// Holdfast's own side: `holdfast bench` measures itself, by the same counters, with workers and
// load in processes of their own. All that depends on its options is in SCENARIOS. Settings are
// the defaults: one worker with 16 threads, 200 live runs at a time in fan-out.
import { spawn } from 'node:child_process';

// units: how many times those of the peers, so that a run lasts long enough to be measured.
const SCENARIOS = {
    'noop': { args: ['noop'], units: 2 },
    'fan-out': { args: ['fan-out', '--in-flight', '2000'], units: 50 },
    'latency': { args: ['latency'], units: 1 },
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

// The shape of peer.js.
export async function measureHoldfast(workload, { program, url, units, rttMs }) {
    const scenario = SCENARIOS[workload];
    const args = ['bench', ...scenario.args, '--store', url, '--repeat', '1',
        '--units', String(units * scenario.units), '--json'];
    if (rttMs)
        args.push('--rtt', `${rttMs}ms`);
    await run(program, ['migrate', '--store', url]);
    const { results: [result] } = JSON.parse(await run(program, args));
    const load = result.runs?.[0]?.cpu_s_per_1000?.load ?? 0;
    return {
        units: result.units,
        throughput_per_s: result.throughput_per_s,
        enqueue_per_s: result.enqueue_per_s,
        latency_ms: result.latency_ms,
        per_unit: {
            statements: result.per_unit.statements,
            commits: result.per_unit.commits,
            wal_bytes: result.per_unit.wal_bytes,
        },
        cpu_s_per_1000: {
            client: result.cpu_s_per_1000.worker + load,
            server: result.cpu_s_per_1000.server,
        },
    };
}
