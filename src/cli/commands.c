/* The table of commands, with their options. Nothing else in the program lists them. */
#include "cli/cli.h"

#define OPTIONS(name) static const struct option_row name[]
#define JSON                                                                                       \
    {                                                                                              \
        "json", OPTION_FLAG, NULL, "print JSON"                                                    \
    }
#define END                                                                                        \
    {                                                                                              \
        0                                                                                          \
    }
#define CLASS                                                                                      \
    {                                                                                              \
        "class", OPTION_CHOICE, "urgent|normal|bulk", "urgent work overtakes a backlog"            \
    }

OPTIONS(demo_options) = {
    {"orders", OPTION_COUNT, "N", "how many orders to run (1000)"},
    {"kills", OPTION_COUNT, "N", "how often a worker is killed with SIGKILL (5)"},
    {"workers", OPTION_COUNT, "N", "how many workers; only with --store postgresql://... (3)"},
    {"dir", OPTION_TEXT, "DIR", "work in this directory, which must be empty or new"},
    {"keep", OPTION_FLAG, NULL, "leave the store, ledger and log behind"},
    END};

OPTIONS(worker_options) = {
    {"module", OPTION_TEXT, "FILE.so", "load workflows and tasks; may be repeated"},
    {"exec", OPTION_TEXT, "NAME=COMMAND", "offer a task that is a shell command; may be repeated"},
    {"builtin", OPTION_TEXT, "NAME", "noop, sleep, fail, fan-out, steps, or all"},
    {"queue", OPTION_TEXT, "QUEUE", "serve this queue only; may be repeated"},
    {"slots", OPTION_COUNT, "N", "threads for tasks (16)"},
    {"lease", OPTION_DURATION, "DURATION", "how long the store waits for a silent worker (10s)"},
    {"grace", OPTION_DURATION, "DURATION", "how long a stop waits for running tasks (10s)"},
    {"drain", OPTION_FLAG, NULL, "exit when no task is left and no run can go on within an hour"},
    {"max-crashes", OPTION_COUNT, "N", "work that was there in so many crashes is set aside (5)"},
    {"verbose", OPTION_FLAG, NULL, "log debug lines too"},
    END};

OPTIONS(start_options) = {
    {"id", OPTION_TEXT, "ID", "the run's id; made if not given"},
    {"input", OPTION_TEXT, "JSON", "the run's input"},
    {"lines", OPTION_TEXT, "FILE", "a run of each line; - is standard input"},
    {"count", OPTION_COUNT, "N", "so many runs, all alike"},
    {"wait", OPTION_FLAG, NULL, "wait for the end; exit as `holdfast wait`"},
    {"timeout", OPTION_DURATION, "DURATION", "with --wait: the longest wait"},
    {"if-exists", OPTION_CHOICE, "fail|use|replace", "what to do if the id is taken"},
    {"queue", OPTION_TEXT, "QUEUE", "the queue (default)"},
    {"version", OPTION_COUNT, "N", "the workflow's version; the worker's newest if not given"},
    CLASS,
    JSON,
    END};

OPTIONS(wait_options) = {{"timeout", OPTION_DURATION, "DURATION", "the longest wait"}, JSON, END};

OPTIONS(signal_options) = {
    {"payload", OPTION_TEXT, "JSON", "what the signal carries"},
    {"key", OPTION_TEXT, "KEY", "a repetition with the same key does nothing"},
    {"start", OPTION_TEXT, "WORKFLOW", "start the run with it if it does not live"},
    {"input", OPTION_TEXT, "JSON", "with --start: the run's input"},
    {"queue", OPTION_TEXT, "QUEUE", "with --start: the queue (default)"},
    END};

OPTIONS(reason_options) = {{"reason", OPTION_TEXT, "TEXT", "is kept with the run"}, END};

OPTIONS(no_options) = {END};

OPTIONS(enqueue_options) = {
    {"input", OPTION_TEXT, "JSON", "the task's input"},
    {"lines", OPTION_TEXT, "FILE", "a task of each line; - is standard input"},
    {"count", OPTION_COUNT, "N", "so many tasks, all alike"},
    {"queue", OPTION_TEXT, "QUEUE", "the queue (default)"},
    {"in", OPTION_DURATION, "DURATION", "not before this long from now"},
    {"at", OPTION_TIME, "TIME", "not before this time"},
    {"id", OPTION_TEXT, "ID", "the task's id; made if not given"},
    CLASS,
    {"max-attempts", OPTION_NUMBER, "N", "how often it is tried (5); -1 without limit"},
    {"timeout", OPTION_DURATION, "DURATION", "the longest one attempt may take"},
    {"deadline", OPTION_DURATION, "DURATION", "the longest all attempts may take together"},
    {"first-delay", OPTION_DURATION, "DURATION", "the wait before the second attempt (1s)"},
    {"max-delay", OPTION_DURATION, "DURATION", "the longest wait between attempts (60s)"},
    {"no-retry", OPTION_TEXT, "NAMES", "errors that are final, with commas"},
    {"on-crash", OPTION_CHOICE, "retry|fail", "fail: never started twice"},
    JSON,
    END};

OPTIONS(json_options) = {JSON, END};

OPTIONS(show_options) = {
    {"execution", OPTION_COUNT, "N", "an earlier execution, if its history is still there"},
    JSON,
    END};

OPTIONS(list_options) = {{"status", OPTION_CHOICE,
                          "running|waiting|paused|blocked|completed|failed|cancelled|terminated",
                          "only these"},
                         {"workflow", OPTION_TEXT, "WORKFLOW", "only runs of this workflow"},
                         {"queue", OPTION_TEXT, "QUEUE", "only runs of this queue"},
                         {"limit", OPTION_COUNT, "N", "at most so many, the newest first (50)"},
                         JSON,
                         END};

OPTIONS(task_options) = {
    {"live", OPTION_FLAG, NULL, "list: tasks that wait or run, instead of dead letters"},
    {"all", OPTION_FLAG, NULL, "retry, discard: all dead letters that the options below choose"},
    {"name", OPTION_TEXT, "NAME", "only tasks of this name"},
    {"queue", OPTION_TEXT, "QUEUE", "only tasks of this queue"},
    {"limit", OPTION_COUNT, "N", "list: at most so many (50)"},
    JSON,
    END};

OPTIONS(migrate_options) = {
    {"check", OPTION_FLAG, NULL, "change nothing; exit 1 if something is missing"},
    {"sql", OPTION_FLAG, NULL, "print the script that makes the whole schema; do not connect"},
    END};

OPTIONS(purge_options) = {
    {"older-than", OPTION_DURATION, "DURATION", "only runs that ended so long ago; 0s: all"},
    {"queue", OPTION_TEXT, "QUEUE", "only runs of this queue"},
    {"status", OPTION_CHOICE, "completed|failed|cancelled|terminated", "only these"},
    {"batch", OPTION_COUNT, "N", "so many in one commit (1000)"},
    {"dry-run", OPTION_FLAG, NULL, "count them, delete nothing"},
    JSON,
    END};

OPTIONS(bench_options) = {
    {"list", OPTION_FLAG, NULL, "list the scenarios"},
    {"all", OPTION_FLAG, NULL, "measure all of them"},
    {"workers", OPTION_COUNT, "N", "worker processes"},
    {"tasks", OPTION_COUNT, "N", "so many tasks or runs in each scenario"},
    {"slots", OPTION_COUNT, "N", "threads for tasks of each worker (16)"},
    {"in-flight", OPTION_COUNT, "N", "live runs at a time"},
    {"payload", OPTION_COUNT, "BYTES", "the input of each task"},
    {"rtt", OPTION_TEXT, "MS", "PostgreSQL: over a network with this roundtrip"},
    {"duration", OPTION_TEXT, "S", "stop after so many seconds, or 500ms, 5m"},
    {"repeat", OPTION_COUNT, "N", "repeats, of which the medians are told (3)"},
    {"json", OPTION_TEXT, "FILE", "write JSON; - is standard output"},
    {"svg", OPTION_TEXT, "DIR", "write plots into this directory"},
    {"compare", OPTION_TEXT, "FILE", "compare with an earlier JSON; exit 1 if exact costs grew"},
    {"keep", OPTION_FLAG, NULL, "leave the stores that were made"},
    END};

OPTIONS(explain_options) = {
    {"scenario", OPTION_CHOICE,
     "heavy-single-queue|many-queues-sparse|with-steps|sleepers|finished-history|mixed-states",
     "only this one"},
    {"rows", OPTION_COUNT, "N", "how large a scenario is (1000000)"},
    {"statistics", OPTION_CHOICE, "never|empty|analysed",
     "what the planner knows: nothing, that tables were empty, what is there"},
    {"sqlite", OPTION_FLAG, NULL, "explain an SQLite file"},
    {"out", OPTION_TEXT, "DIR", "write the plans there"},
    JSON,
    END};

const struct command commands[] = {
    {"demo", "", 0, 0, "run 1,000 orders while workers are killed, and check the result",
     demo_options, run_demo},
    {"worker", "", 0, 0, "serve the queues with modules, shell commands or built-in tasks",
     worker_options, run_worker},
    {"start", "WORKFLOW", 1, 1, "start a run, or many", start_options, run_start},
    {"wait", "RUN", 1, 1, "wait until a run has ended and print its output", wait_options,
     run_wait},
    {"signal", "RUN NAME [PAYLOAD]", 2, 3, "send a signal to a run", signal_options, run_signal},
    {"cancel", "RUN...", 1, -1, "ask runs to stop; they may clean up", reason_options, run_cancel},
    {"terminate", "RUN...", 1, -1, "end runs as they are, without clean-up", reason_options,
     run_terminate},
    {"pause", "RUN...", 1, -1, "hold runs before their next turn", no_options, run_pause},
    {"resume", "RUN...", 1, -1, "let paused or blocked runs go on", no_options, run_resume},
    {"enqueue", "TASK", 1, 1, "add standalone tasks", enqueue_options, run_enqueue},
    {"show", "RUN", 1, 1, "show a run: its timeline and what it waits for", show_options, run_show},
    {"list", "", 0, 0, "list runs, the newest first", list_options, run_list},
    {"why", "ID", 1, 1, "say in one sentence what a run or task waits for", json_options, run_why},
    {"task", "list|show|retry|discard [ID...]", 1, -1, "look at tasks and dead letters",
     task_options, run_task},
    {"migrate", "", 0, 0, "make the schema of a PostgreSQL store, or bring it up to date",
     migrate_options, run_migrate},
    {"workers", "", 0, 0, "list the workers, with what they own and how busy they are",
     json_options, run_workers},
    {"queues", "[retain QUEUE DURATION]", 0, 3,
     "list the queues, or say how long one keeps runs that have ended", json_options, run_queues},
    {"stats", "[WORKER]", 0, 1, "say what workers have done and where their time goes",
     json_options, run_stats},
    {"purge", "", 0, 0, "delete runs that have ended, with their history", purge_options,
     run_purge},
    {"doctor", "", 0, 0, "check the store and whether its work can be done", json_options,
     run_doctor},
    {"bench", "[SCENARIO...]", 0, -1, "measure throughput, latency and costs; --list says what",
     bench_options, run_bench},
    {"explain", "", 0, 0, "show how the database executes each statement on large tables",
     explain_options, run_explain},
    {"completion", "bash", 1, 1, "print a completion script for the shell", no_options,
     run_completion},
    {"version", "", 0, 0, "print the version", no_options, run_version},
    {"help", "[COMMAND]", 0, 1, "print help; `help --man` the manual's synopsis",
     (const struct option_row[]){{"man", OPTION_FLAG, NULL, "as mdoc"}, END}, run_help},
    {0},
};
