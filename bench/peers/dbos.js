// DBOS Transact. It records each step's result in a transaction of its own, and starts a run in
// the process that asks for it. Settings, by its documentation (docs.dbos.dev, "Configuration"):
// the pool of system connections is as large as the number of runs in flight, LISTEN and NOTIFY
// are on, tracing off. Fan-out is a workflow of five steps in parallel (Promise.allSettled, as its
// tutorial says); 20 runs in flight were its best on two cores. Latency is a workflow of one step,
// start to result.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { stopwatch } from './latency.js';

export const peer = { workloads: ['fan-out', 'latency'] };

const IN_FLIGHT = { local: 20, remote: 200 };

const watch = stopwatch();
const noop = async () => {};
const fan = DBOS.registerWorkflow(async () => {
    const steps = Array.from({ length: 5 }, (_, n) => DBOS.runStep(noop, { name: `noop-${n}` }));
    await Promise.allSettled(steps);
}, { name: 'fan' });
const single = DBOS.registerWorkflow(() => DBOS.runStep(async () => watch.begun(),
    { name: 'noop' }), { name: 'single' });

async function launch(url, pool) {
    DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: pool,
        useListenNotify: true, enableOTLP: false, logLevel: 'error', applicationVersion: '1' });
    await DBOS.launch();
}

export async function setup({ url }) {
    await launch(url, 2);
    await DBOS.shutdown();
}

export async function fanOut({ url, units, remote, measured }) {
    const inFlight = remote ? IN_FLIGHT.remote : IN_FLIGHT.local;
    await launch(url, inFlight);
    let left = units;
    const loop = async () => {
        while (left-- > 0)
            await (await DBOS.startWorkflow(fan)()).getResult();
    };
    await measured(async () => {
        await Promise.all(Array.from({ length: inFlight }, loop));
    });
    await DBOS.shutdown();
}

export async function latency(context) {
    await launch(context.url, 10);
    await watch.measure(context, async () => (await DBOS.startWorkflow(single)()).getResult());
    await DBOS.shutdown();
}
