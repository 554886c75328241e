// The options of a comparison, and what is done for them. run asks this file alone before anything
// is built or fetched.
import { parseArgs } from 'node:util';

const PEERS = ['graphile-worker', 'pg-boss', 'bullmq', 'pgq', 'dbos', 'openworkflow'];
// The phases of each workload that a peer goes through.
export const PHASES = {
    'noop': ['enqueue', 'work'],
    'fan-out': ['fanOut'],
    'latency': ['latency'],
};

// Tasks or runs of a peer, so that each takes some seconds.
const UNITS = { 'noop': 200_000, 'fan-out': 2_000, 'latency': 300 };
export const REMOTE = { rttMs: 150, units: { 'noop': 50_000, 'fan-out': 400, 'latency': 10 } };

const HELP = `usage: bench/peers/run [OPTION...]

Compare Holdfast with ${PEERS.join(', ')}.

  --peers A,B         these only
  --workloads A,B     these only: noop, fan-out, latency, remote
  --repeat N          repeats, of which the medians are told (3)
  --units N           so many tasks or runs of a peer, instead of each workload's own number
  --json FILE         write all numbers there
  --store URL         a PostgreSQL server, for databases of ours; else a throw-away one
  --help              print this`;

function usage(text) {
    console.error(`bench/peers: ${text}`);
    process.exit(64);
}

function list(text, known, what) {
    const names = text?.split(',') ?? known;
    const unknown = names.find((name) => !known.includes(name));
    if (unknown !== undefined)
        usage(`${unknown} is not one of the ${what} ${known.join(', ')}`);
    return names;
}

function count(text, name, instead) {
    if (text !== undefined && !/^[1-9]\d*$/.test(text))
        usage(`--${name} ${text}: not a number from 1`);
    return text === undefined ? instead : Number(text);
}

function readOptions() {
    const text = { type: 'string' };
    let values;
    try {
        ({ values } = parseArgs({ options: { peers: text, workloads: text, repeat: text,
            units: text, json: text, store: text, help: { type: 'boolean' } } }));
    } catch (error) {
        usage(error.message);
    }
    if (values.help) {
        console.log(HELP);
        process.exit(0);
    }
    return {
        peers: list(values.peers, PEERS, 'peers'),
        workloads: list(values.workloads, [...Object.keys(PHASES), 'remote'], 'workloads'),
        repeat: count(values.repeat, 'repeat', 3),
        units: count(values.units, 'units', null),
        json: values.json,
        store: values.store,
    };
}

export const options = readOptions();

// What is done: remote stands for each workload over a network.
export function plan() {
    const one = (base, rttMs, units) => ({ base, rttMs, units: options.units ?? units[base],
        name: rttMs ? `remote ${base}` : base });
    return options.workloads.flatMap((workload) => (workload === 'remote'
        ? Object.keys(PHASES).map((base) => one(base, REMOTE.rttMs, REMOTE.units))
        : [one(workload, 0, UNITS)]));
}
