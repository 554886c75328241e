// Latency as all peers measure it: one job or run at a time, with a rest behind each, so that the
// worker is idle when the next one comes. The first one is not counted.

const REST_MS = 20;

export function stopwatch() {
    let began;

    async function one(submit) {
        const start = new Promise((resolve) => { began = resolve; });
        const begin = performance.now();
        await submit();
        const result = performance.now() - begin;
        const ms = { start: await start - begin, result };
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
        return ms;
    }

    return {
        // To be called by the job when it begins.
        begun: () => began(performance.now()),

        // `submit` returns with the result if results are known, else when the job is stored.
        async measure({ units, measured }, submit, { results = true } = {}) {
            await one(submit);
            await measured(async () => {
                const samples = [];
                while (samples.length < units)
                    samples.push(await one(submit));
                return { start: samples.map((s) => s.start),
                    ...(results && { result: samples.map((s) => s.result) }) };
            });
        },
    };
}
