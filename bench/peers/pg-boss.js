// pg-boss. Settings, by its documentation on workers and constructor options
// (pgboss.io/api/workers): jobs are inserted 1,000 a call without their ids being returned; two
// workers fetch batches of 1,000 and fetch again at once while batches are full
// (burstWhenBatchFull). Completed jobs stay in the table for a week. For latency: LISTEN and
// NOTIFY (useListenNotify, and notify of the queue), as it would otherwise be half the polling
// interval. Nobody can wait for a result, so latency is from the call of send to the beginning of
// the handler.
// Its package asks for Node 22; it runs on 20.
import { PgBoss } from 'pg-boss';
import { stopwatch } from './latency.js';

export const peer = { workloads: ['noop', 'latency'] };

const BATCH = 1000;
const QUEUE = 'noop';
const WORK = { batchSize: BATCH, burstWhenBatchFull: true, localConcurrency: 2,
    pollingIntervalSeconds: 0.5 };

async function start(url, options) {
    const boss = new PgBoss({ connectionString: url, schedule: false, ...options });
    boss.on('error', () => {});
    await boss.start();
    return boss;
}

export async function setup({ url }) {
    const boss = await start(url, { supervise: false });
    await boss.createQueue(QUEUE);
    await boss.createQueue('latency', { notify: true });
    await boss.stop({ graceful: false });
}

export async function enqueue({ url, units, measured }) {
    const boss = await start(url, { supervise: false });
    const jobs = Array.from({ length: BATCH }, (_, n) => ({ data: { n } }));
    await measured(async () => {
        for (let left = units; left > 0; left -= BATCH)
            await boss.insert(QUEUE, jobs.slice(0, left), { returnId: false });
    });
    await boss.stop({ graceful: false });
}

export async function work({ url, units, measured }) {
    const boss = await start(url);
    let left = units;
    await measured(async () => {
        let finished;
        const all = new Promise((resolve) => { finished = resolve; });
        await boss.work(QUEUE, WORK, async (jobs) => {
            left -= jobs.length;
            if (left <= 0)
                finished();
        });
        await all;
        await boss.offWork(QUEUE); // the last batches are complete then
    });
    await boss.stop({ graceful: false });
}

export async function latency(context) {
    const boss = await start(context.url, { useListenNotify: true });
    const watch = stopwatch();
    await boss.work('latency', async () => watch.begun());
    await watch.measure(context, () => boss.send('latency', { n: 1 }), { results: false });
    await boss.stop({ graceful: false });
}
