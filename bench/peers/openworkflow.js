// OpenWorkflow on PostgreSQL. Settings, by its documentation (openworkflow.dev/docs, "Production
// Checklist"): a worker runs 50 workflows at a time, and the pool has as many connections (200
// through a slow network). Fan-out is a workflow of five steps in parallel (Promise.all); a new
// run is started when one returns. Latency is a workflow of one step; the worker polls after 0.1
// to 1 s without work, and whoever waits for a result looks once a second; neither can be set.
import { OpenWorkflow } from 'openworkflow';
import { BackendPostgres } from 'openworkflow/postgres';
import postgres from 'postgres';
import { stopwatch } from './latency.js';

// A run alone takes a second.
export const peer = { workloads: ['fan-out', 'latency'], units: { latency: 30 } };

const IN_FLIGHT = { local: 50, remote: 200 };

// What BackendPostgres.connect does, but for the size of the pool.
function open(url, connections) {
    const pool = postgres(url, { max: connections, onnotice() {},
        transform: { column: { from: postgres.toCamel } } });
    const backend = BackendPostgres.fromPool(pool);
    return { backend, pool, flow: new OpenWorkflow({ backend }) };
}

async function until(look) {
    while (!await look())
        await new Promise((resolve) => setTimeout(resolve, 20));
}

export async function setup({ url }) {
    const backend = await BackendPostgres.connect(url);
    await backend.stop();
}

export async function fanOut({ url, units, remote, measured }) {
    const inFlight = remote ? IN_FLIGHT.remote : IN_FLIGHT.local;
    const { backend, pool, flow } = open(url, inFlight);
    let left = units;
    const startOne = async () => left-- > 0 && fan.run({});
    const fan = flow.defineWorkflow({ name: 'fan' }, async ({ step }) => {
        await Promise.all([1, 2, 3, 4, 5].map((n) =>
            step.run({ name: `noop-${n}` }, async () => {})));
        startOne();
    });
    const worker = flow.newWorker({ concurrency: inFlight });
    await measured(async () => {
        await Promise.all(Array.from({ length: inFlight }, startOne));
        await worker.start();
        await until(async () => left <= 0 &&
            (await backend.countWorkflowRuns()).completed === units);
    });
    await worker.stop();
    await pool.end();
}

export async function latency(context) {
    const { pool, flow } = open(context.url, 10);
    const watch = stopwatch();
    const single = flow.defineWorkflow({ name: 'single' }, ({ step }) =>
        step.run({ name: 'noop' }, async () => watch.begun()));
    const worker = flow.newWorker({ concurrency: 10 });
    await worker.start();
    await watch.measure(context, async () => (await single.run({})).result());
    await worker.stop();
    await pool.end();
}
