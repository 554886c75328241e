// A process in which a peer works, so that its CPU is counted alone: child.js ADAPTER PHASE JSON.
// The phase prepares itself and then calls `measured` with what is to be measured; the parent
// (peer.js) reads the server's meter before that begins and after it has ended.
//
//     child                       parent
//     {ready}            ───▶     reads the meter
//                        ◀───     go
//     (works)
//     {done, seconds,…}  ───▶     reads the meter
//                        ◀───     end
//     (cleans up, exits)
const [, , adapter, phase, parameters] = process.argv;

function told(word) {
    return new Promise((resolve) => {
        process.on('message', function listen(message) {
            if (message === word) {
                process.off('message', listen);
                resolve();
            }
        });
    });
}

// What `work` returns goes to the parent: the samples of latencies, if it has any.
async function measured(work) {
    const go = told('go');
    process.send({ ready: true });
    await go;
    const cpu = process.cpuUsage();
    const begin = performance.now();
    const result = await work();
    const seconds = (performance.now() - begin) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const end = told('end');
    process.send({ done: true, seconds, cpu: (user + system) / 1e6, ...result });
    await end;
}

process.once('disconnect', () => process.exit(1));
try {
    const module = await import(`./${adapter}.js`);
    if (phase === 'describe')
        process.send({ done: true, peer: module.peer });
    else
        await module[phase]({ ...JSON.parse(parameters), measured });
    process.exit(0);
} catch (error) {
    const [line] = String(error?.message ?? error).split('\n');
    process.send({ error: line || 'it fails' }, () => process.exit(1));
}
