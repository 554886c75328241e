// BullMQ on Redis, which is another server than the others' with other guarantees: all data are in
// memory, and a write is durable because redis.js has the append-only file synced before each
// answer.
// Settings, by its documentation (docs.bullmq.io, "Concurrency", "Auto-removal of jobs", "Adding
// jobs in bulk"): jobs are added 1,000 a call; one worker runs 300 jobs at a time; completed jobs
// are removed. Latency: from the call of add to the beginning of the job, and to the return of
// waitUntilFinished, which needs completed jobs to be kept.
import { Queue, QueueEvents, Worker } from 'bullmq';
import { stopwatch } from './latency.js';

export const peer = { workloads: ['noop', 'latency'], needs: 'redis' };

const BATCH = 1000;
const CONCURRENCY = 300;

function connection(url) {
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port), maxRetriesPerRequest: null };
}

export async function setup() {}

export async function enqueue({ url, units, measured }) {
    const queue = new Queue('noop', { connection: connection(url) });
    await queue.waitUntilReady();
    const jobs = Array.from({ length: BATCH }, (_, n) => ({ name: 'noop', data: { n } }));
    await measured(async () => {
        for (let left = units; left > 0; left -= BATCH)
            await queue.addBulk(jobs.slice(0, left));
    });
    await queue.close();
}

export async function work({ url, units, measured }) {
    let left = units;
    const worker = new Worker('noop', async () => {},
        { connection: connection(url), concurrency: CONCURRENCY, removeOnComplete: { count: 0 },
            autorun: false });
    await worker.waitUntilReady();
    await measured(async () => {
        const all = new Promise((resolve) => {
            worker.on('completed', () => --left === 0 && resolve());
        });
        worker.run();
        await all;
    });
    await worker.close();
}

export async function latency(context) {
    const options = { connection: connection(context.url) };
    const watch = stopwatch();
    const queue = new Queue('latency', options);
    const events = new QueueEvents('latency', options);
    const worker = new Worker('latency', async () => watch.begun(), options);
    const all = [queue, events, worker];
    await Promise.all(all.map((part) => part.waitUntilReady()));
    await watch.measure(context, async () => {
        const job = await queue.add('latency', { n: 1 });
        await job.waitUntilFinished(events);
    });
    await Promise.all(all.map((part) => part.close()));
}
