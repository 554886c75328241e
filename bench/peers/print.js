// The table. A cell of a peer is its number and, behind ×, Holdfast's divided by it.

const COLUMNS = [
    ['PER SECOND', (r) => r.throughput_per_s],
    ['STORED/S', (r) => r.enqueue_per_s],
    ['START MS p50', (r) => r.latency_ms.start.p50],
    ['p99', (r) => r.latency_ms.start.p99],
    ['RESULT MS p50', (r) => r.latency_ms.result.p50],
    ['p99', (r) => r.latency_ms.result.p99],
    ['STATEMENTS', (r) => r.per_unit.statements],
    ['COMMITS', (r) => r.per_unit.commits],
    ['LOG BYTES', (r) => r.per_unit.wal_bytes],
    ['CLIENT CPU', (r) => r.cpu_s_per_1000.client],
    ['SERVER CPU', (r) => r.cpu_s_per_1000.server],
];
// A single run at a time: its rate and costs say nothing more than the latency does.
const LATENCY_ONLY = new Set(['START MS p50', 'RESULT MS p50', 'p99']);

function number(v) {
    if (!Number.isFinite(v))
        return '';
    if (v >= 100)
        return Math.round(v).toLocaleString('en');
    return v === 0 ? '0' : v.toPrecision(v >= 1 ? 3 : 2);
}

function cell(value, own) {
    const known = Number.isFinite(value) && Number.isFinite(own) && value > 0;
    return number(value) + (known ? ` ×${number(own / value)}` : '');
}

// A row of two cells is one that was skipped: the second says why. Empty columns are left out.
function printRows(rows) {
    const full = rows.filter((row) => row.length > 2);
    const used = rows[0].map((_, i) => i).filter((i) => full.slice(1).some((row) => row[i]));
    const width = (i) => Math.max(...(i === 0 ? rows : full).map((row) => row[i].length));
    for (const row of rows) {
        const cells = row.length === 2 ? [row[0].padEnd(width(0)), row[1]]
            : used.map((i) => row[i].padEnd(width(i)));
        console.log(`  ${cells.join('  ')}`.trimEnd());
    }
}

// rows: of one workload, Holdfast's first; each has `system`, and `result` or `skipped`.
export function printWorkload(workload, rows) {
    const own = rows.find((row) => row.system === 'holdfast')?.result;
    const columns = COLUMNS.filter(([name]) =>
        !workload.endsWith('latency') || LATENCY_ONLY.has(name));
    const lines = [['SYSTEM', ...columns.map(([name]) => name)]];
    for (const { system, result, skipped } of rows) {
        if (skipped)
            lines.push([system, `skipped: ${skipped}`]);
        else
            lines.push([system, ...columns.map(([, value]) => (result === own
                ? number(value(result)) : cell(value(result), own && value(own))))]);
    }
    console.log(`\n${workload}`);
    printRows(lines);
}
