/*
 * What is measured: scenarios by name, and the points of each. Sizes are such that a repeat takes
 * some seconds on two cores, unless the size is the point.
 */
#include "base/buf.h"
#include "bench/bench.h"

const struct scenario scenarios[] = {
    {"default", "10,000 no-op tasks, 4 workers"},
    {"high-throughput", "500,000 no-op tasks, 8 workers"},
    {"fan-out", "runs of 5 tasks at once, of 0 and 10 ms; 20, 200, 2,000 in flight"},
    {"with-steps", "runs of 10 memoised steps"},
    {"io-bound", "tasks that wait 10 ms: 100 and 10,000 at a time"},
    {"scale-1", "no-op tasks, 1 worker"},
    {"scale-2", "2 workers"},
    {"scale-4", "4 workers"},
    {"scale-8", "8 workers"},
    {"scale-20", "20 workers"},
    {"scale-50", "50 workers"},
    {"latency", "one run after the other on an idle worker, of 1 and 5 tasks"},
    {"backlog", "no-op tasks before a backlog of 50,000 and of 5 million"},
    {"pinned-horizon", "a stream of tasks for 5 minutes, while nothing can be vacuumed"},
    {"idle", "what a worker costs that has nothing to do"},
    {"crash", "a worker is killed under load: time to recover, effects done twice"},
    {"remote", "no-op tasks and fan-outs over a link of 1, 10, 50 and 150 ms"},
    {"quick", "a little of each: for tests"},
    {"low-latency", "runs of 1 task at random times, 200 a second"},
    {"cpu-bound", "tasks that compute the 20th Fibonacci number"},
    {"fan-out-1000", "runs of 1,000 tasks at once"},
    {"sequence", "runs of 10 tasks, one after the other"},
    {"sequence-1000", "runs of 1,000 tasks, one after the other"},
    {"children", "runs that wait for 5 other runs"},
    {"signal-pingpong", "pairs of runs that signal each other"},
    {"continue-as-new", "runs of 10 executions, each with a task"},
    {"timers", "1 million sleepers: what they cost parked, then all wake"},
    {"payload", "no-op tasks with inputs of 1 KB and 100 KB"},
    {"mixed", "fan-outs, sequences, steps, children, tasks that wait"},
    {0},
};

#define TASKS .load = load_backlog, .work = "nothing"
#define RUNS  .load = load_in_flight
/* Runs of 5 tasks of 10 ms need threads for all of them. */
enum { MANY_SLOTS = 250, MOST_SLOTS = 2500 };

const struct point points[] = {
    {"default", NULL, TASKS, .units = 10000, .workers = 4},
    {"high-throughput", NULL, TASKS, .units = 500000, .workers = 8},
    {"fan-out", "0 ms", RUNS, "fan-out", 10000, .in_flight = 20},
    {"fan-out", "0 ms", RUNS, "fan-out", 50000, .in_flight = 200},
    {"fan-out", "0 ms", RUNS, "fan-out", 100000, .in_flight = 2000},
    {"fan-out", "10 ms", RUNS, "fan-out-wait", 2000, .in_flight = 20, .slots = MANY_SLOTS},
    {"fan-out", "10 ms", RUNS, "fan-out-wait", 10000, .in_flight = 200, .slots = MANY_SLOTS * 4},
    {"fan-out", "10 ms", RUNS, "fan-out-wait", 20000, .in_flight = 2000, .slots = MOST_SLOTS},
    {"with-steps", NULL, RUNS, "steps", 10000, .in_flight = 200},
    {"with-steps", NULL, RUNS, "steps", 20000, .in_flight = 2000},
    {"io-bound", "100", load_backlog, "wait", 10000, .workers = 4, .slots = 25},
    {"io-bound", "10,000", load_backlog, "wait", 100000, .workers = 4, .slots = MOST_SLOTS},
    {"scale-1", NULL, TASKS, .units = 1000000, .workers = 1},
    {"scale-2", NULL, TASKS, .units = 1000000, .workers = 2},
    {"scale-4", NULL, TASKS, .units = 1000000, .workers = 4},
    {"scale-8", NULL, TASKS, .units = 1000000, .workers = 8},
    {"scale-20", NULL, TASKS, .units = 1000000, .workers = 20},
    {"scale-50", NULL, TASKS, .units = 1000000, .workers = 50},
    {"latency", "1 task", load_alone, "stamp", 300, .in_flight = 1},
    {"latency", "5 tasks", load_alone, "stamps", 300, .in_flight = 1},
    {"backlog", "50 k", TASKS, .units = 500000, .backlog = 50000},
    {"backlog", "5 M", TASKS, .units = 500000, .backlog = 5000000},
    {"pinned-horizon", "not pinned", load_stream, "nothing", INT64_MAX, .duration_ms = 60000,
     .only_shared = true, .once = true},
    {"pinned-horizon", "pinned", load_pinned, "nothing", INT64_MAX, .duration_ms = 300000,
     .only_shared = true, .once = true},
    {"idle", "1 worker", load_nothing, .duration_ms = 10000, .once = true},
    {"idle", "4 workers", load_nothing, .duration_ms = 10000, .workers = 4, .only_shared = true,
     .once = true},
    {"crash", NULL, load_crash, "nothing", 200000, .workers = 4},
    {"remote", "tasks", TASKS, .units = 200000, .rtt_ms = 1},
    {"remote", "tasks", TASKS, .units = 200000, .rtt_ms = 10},
    {"remote", "tasks", TASKS, .units = 200000, .rtt_ms = 50},
    {"remote", "tasks", TASKS, .units = 200000, .rtt_ms = 150},
    {"remote", "fan-outs", RUNS, "fan-out", 20000, .in_flight = 2000, .rtt_ms = 1},
    {"remote", "fan-outs", RUNS, "fan-out", 20000, .in_flight = 2000, .rtt_ms = 10},
    {"remote", "fan-outs", RUNS, "fan-out", 20000, .in_flight = 5000, .rtt_ms = 50},
    {"remote", "fan-outs", RUNS, "fan-out", 40000, .in_flight = 10000, .rtt_ms = 150},
    {"remote", "alone", load_alone, "stamps", 100, .in_flight = 1, .rtt_ms = 1},
    {"remote", "alone", load_alone, "stamps", 30, .in_flight = 1, .rtt_ms = 10},
    {"remote", "alone", load_alone, "stamps", 10, .in_flight = 1, .rtt_ms = 50},
    {"remote", "alone", load_alone, "stamps", 10, .in_flight = 1, .rtt_ms = 150},
    {"quick", "tasks", TASKS, .units = 20000},
    {"quick", "fan-outs", RUNS, "fan-out", 2000, .in_flight = 500},
    {"quick", "steps", RUNS, "steps", 500, .in_flight = 100},
    {"quick", "alone", load_alone, "stamp", 100, .in_flight = 1},
    {"low-latency", NULL, load_paced, "stamp", 2000, .workers = 4},
    {"cpu-bound", NULL, load_backlog, "compute", 50000, .workers = 4},
    {"fan-out-1000", NULL, RUNS, "fan-out-1000", 200, .in_flight = 20},
    {"sequence", NULL, RUNS, "sequence", 10000, .in_flight = 500},
    {"sequence-1000", NULL, RUNS, "sequence-1000", 100, .in_flight = 50},
    {"children", NULL, RUNS, "children", 5000, .in_flight = 500},
    {"signal-pingpong", NULL, RUNS, "ping", 1000, .in_flight = 100, .each = 10},
    {"continue-as-new", NULL, RUNS, "continue", 5000, .in_flight = 500, .each = 10},
    {"timers", "0 parked", TASKS, .units = 300000},
    {"timers", "1 M parked", TASKS, .units = 300000, .parked = 1000000},
    {"timers", "1 M wake", load_timers, "sleeper", 1000000, .once = true},
    {"payload", "1 KB", TASKS, .units = 100000, .payload = 1024},
    {"payload", "100 KB", TASKS, .units = 2000, .payload = 102400},
    {"mixed", NULL, RUNS, "mixed", 10000, .in_flight = 500, .workers = 4, .slots = 64},
    {0},
};

const char *
scenario_names(struct arena *a)
{
    struct buf  b = {0};
    const char *out = NULL;

    for (const struct scenario *s = scenarios; s->name; s++)
        buf_printf(&b, "%s%s", s == scenarios ? "" : ", ", s->name);
    if (!b.failed)
        out = arena_strndup(a, b.data, b.len);
    buf_release(&b);
    return out;
}
