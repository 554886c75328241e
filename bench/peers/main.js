// Goes through repeats, workloads and systems, in this order, so that all systems meet the same
// moods of the machine; prints medians with ratios, and JSON. Whatever fails is told in its row
// and the rest goes on. What was started ends with this program.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { interruptHoldfast, measureHoldfast } from './holdfast.js';
import { REMOTE, PHASES, options, plan } from './options.js';
import { describe, killChildren, measurePeer } from './peer.js';
import { Postgres } from './postgres.js';
import { Redis } from './redis.js';
import { medians } from './statistics.js';
import { printWorkload } from './print.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
function unpacked(name) {
    const problem = `${ROOT}build/peers/${name}.problem`;
    if (existsSync(problem))
        throw new Error(readFileSync(problem, 'utf8').trim());
    return `${ROOT}build/peers/${name}`;
}

let postgres, redis;

function databaseOf(system) {
    return `peers_${system.name.replace(/\W/g, '_')}`;
}

async function measureOn(system, step) {
    const { needs } = system;
    const units = options.units ?? system.units?.[step.name] ?? step.units;
    const common = { units, rttMs: step.rttMs, directory: postgres.directory };
    if (needs === 'redis') {
        redis = await Redis.open(unpacked('redis'));
        return measurePeer(system.name, step.base,
            { ...common, server: redis, meter: redis.meter() });
    }
    if (needs)
        common.unpacked = unpacked(needs);
    const database = databaseOf(system);
    const url = await postgres.create(database);
    if (system.name === 'holdfast')
        return measureHoldfast(step.base, { ...common, program: `${ROOT}build/holdfast`, url });
    return measurePeer(system.name, step.base,
        { ...common, server: { url }, meter: postgres.meter(database) });
}

async function measure(system, step) {
    try {
        return { result: await measureOn(system, step) };
    } catch (error) {
        return { skipped: error.message };
    } finally {
        await redis?.close();
        redis = undefined;
        // Or its autovacuum would be part of the next measurement.
        await postgres.drop(databaseOf(system));
    }
}

async function describeAll(names) {
    const systems = [{ name: 'holdfast', workloads: Object.keys(PHASES) }];
    for (const name of names)
        systems.push({ name, ...await describe(name).catch((error) =>
            ({ workloads: Object.keys(PHASES), problem: error.message })) });
    return systems;
}

let stopping = false;

async function stop(code) {
    if (stopping)
        return;
    stopping = true;
    killChildren();
    interruptHoldfast();
    await redis?.close();
    await postgres?.close();
    process.exit(code);
}

async function compare(options) {
    const systems = await describeAll(options.peers);
    const rows = plan().flatMap((step) => systems
        .filter((system) => system.workloads.includes(step.base))
        .map((system) => ({ step, system, runs: [], skipped: system.problem })));
    for (let i = 1; i <= options.repeat; i++) {
        for (const row of rows.filter((r) => !r.skipped)) {
            const begin = performance.now();
            const { result, skipped } = await measure(row.system, row.step);
            const seconds = ((performance.now() - begin) / 1000).toFixed(1);
            const what = `${row.step.name}: ${row.system.name}`;
            console.error(`${i}/${options.repeat} ${what}, ${seconds} s`);
            row.skipped = skipped;
            row.runs.push(...(result ? [result] : []));
        }
    }
    return rows.map(({ step, system, runs, skipped }) => ({
        workload: step.name,
        system: system.name,
        ...(skipped ? { skipped } : { result: medians(runs), runs }),
    }));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => stop(130));
try {
    postgres = await Postgres.open(`${ROOT}build/tests/pg_serve`, options.store);
    const settings = { ...await postgres.settings(), node: process.version, cores: cpus().length,
        repeat: options.repeat, rtt_ms: REMOTE.rttMs,
        ...JSON.parse(readFileSync(new URL('package.json', import.meta.url))).dependencies };
    const results = await compare(options);
    console.log(Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(', '));
    for (const { name } of plan())
        printWorkload(name, results.filter((row) => row.workload === name));
    if (options.json)
        writeFileSync(options.json, JSON.stringify({ version: 1, settings, results }, null, 1));
    await stop(0);
} catch (error) {
    if (!stopping)
        console.error(`bench/peers: ${error.message}`);
    await stop(1);
}
