// graphile-worker. Settings, by its documentation (worker.graphile.org/docs/performance, and the
// comments of its options): a local queue and completions in batches without delay, as in its
// record; for very fast tasks a much larger queue than the record's 500 is advised, and 2,000 with
// 500 jobs at a time was more than twice as fast on two cores as 500 with 24. Jobs are added by
// add_jobs, 1,000 a call. Completed jobs are deleted. A worker that is killed leaves its jobs
// locked for 4 hours. Nobody can wait for a result, so latency is from the call of addJob to the
// beginning of the task, and is measured without batching, which is for throughput.
// Its package asks for Node 22; it runs on 20.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { stopwatch } from './latency.js';

export const peer = { workloads: ['noop', 'latency'] };

const BATCH = 1000;
const logger = new Logger(() => () => {});
const THROUGHPUT = { concurrentJobs: 500, maxPoolSize: 10, localQueue: { size: 2000 },
    completeJobBatchDelay: 0, failJobBatchDelay: 0 };
const LATENCY = { concurrentJobs: 10, maxPoolSize: 12 };

function start(url, worker, noop) {
    return run({ preset: { worker: { connectionString: url, ...worker } }, taskList: { noop },
        noHandleSignals: true, logger });
}

export async function setup({ url }) {
    const utils = await makeWorkerUtils({ connectionString: url, logger });
    await utils.migrate();
    await utils.release();
}

export async function enqueue({ url, units, measured }) {
    const utils = await makeWorkerUtils({ connectionString: url, logger });
    const jobs = Array.from({ length: BATCH }, (_, n) => ({ identifier: 'noop', payload: { n } }));
    await measured(async () => {
        for (let left = units; left > 0; left -= BATCH)
            await utils.addJobs(jobs.slice(0, left));
    });
    await utils.release();
}

export async function work({ url, units, measured }) {
    let runner, finished;
    let left = units;
    const all = new Promise((resolve) => { finished = resolve; });
    await measured(async () => {
        runner = await start(url, THROUGHPUT, async () => {
            if (--left === 0)
                finished();
        });
        await all;
        await runner.stop(); // the last batch is complete then
    });
}

export async function latency(context) {
    const { url } = context;
    const watch = stopwatch();
    const runner = await start(url, LATENCY, async () => watch.begun());
    const utils = await makeWorkerUtils({ connectionString: url, logger });
    await watch.measure(context, () => utils.addJob('noop', { n: 1 }), { results: false });
    await utils.release();
    await runner.stop();
}
