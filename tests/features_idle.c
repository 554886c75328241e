/* A worker that has to wait waits: it does not look again and again. Counted in CPU time and
 * wake-ups of worker processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proc.h"

static hf *client;

static int
sleepy(hf_tk *tk, void *arg)
{
    (void)arg;
    for (int i = 0; i < 200 && !hf_tk_cancelled(tk); i++)
        sleep_ms(10);
    effect("end");
    return hf_tk_return(tk, NULL);
}

static int
long_step(hf_st *st, void *arg)
{
    (void)arg;
    sleep_ms(2000);
    return hf_step_return(st, NULL);
}

static int
slow_beside_step(hf_wf *wf)
{
    hf_call call;
    HF_TRY(hf_task_start(wf, "sleepy", NULL, &call));
    HF_TRY(hf_step(wf, "step", long_step, NULL, NULL));
    return hf_result(wf, call, NULL);
}

static int
waits(hf_wf *wf)
{
    return hf_signal(wf, "go", NULL);
}

static int
sleeps(hf_wf *wf)
{
    return hf_sleep(wf, HF_HOUR);
}

static void
offer(hf *h)
{
    OK(h, hf_handler(h, "sleepy", sleepy, NULL, NULL));
    OK(h, hf_workflow(h, "slow_beside_step", 1, slow_beside_step));
    OK(h, hf_workflow(h, "waits", 1, waits));
    OK(h, hf_workflow(h, "sleeps", 1, sleeps));
}

/* CPU time in ms of all workers that have ended. */
static int64_t
cpu_ms(void)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000LL +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

static int64_t
wake_ups(pid_t pid)
{
    char  command[160], line[40] = "";
    FILE *f;

    snprintf(command, sizeof(command),
             "cat /proc/%d/task/*/status | awk '/^voluntary_ctxt/ {n += $2} END {print n}'",
             (int)pid);
    f = popen(command, "r");
    CHECK(f != NULL);
    CHECK(fgets(line, sizeof(line), f) != NULL);
    pclose(f);
    return strtoll(line, NULL, 10);
}

/* A laptop's battery, and a thousand small services on one host. */
TEST(an_idle_worker_wakes_up_less_than_three_times_a_second)
{
#if defined(__SANITIZE_THREAD__)
    SKIP("the sanitizer has a thread of its own that wakes up");
#endif
    client = client_open();
    pid_t worker = worker_start(offer, HF_WORKER(.slots = 4));
    OK(client, hf_start(client, "waits", NULL, HF_OPT(.id = "w"), NULL));
    OK(client, hf_start(client, "sleeps", NULL, HF_OPT(.id = "s"), NULL));
    sleep_ms(7500); /* two renewals: until then it says what it has done, then it rests */
    int64_t before = wake_ups(worker);
    sleep_ms(4000);
    CHECK(wake_ups(worker) - before < 12);
    CHECK_INT(worker_stop(worker), 0);
}

/* Rows that are due and find no room must not be asked for again and again. */
TEST(a_worker_with_more_due_tasks_than_room_does_not_spin)
{
    client = client_open();
    for (int i = 0; i < 8; i++)
        OK(client, hf_enqueue(client, "sleepy", NULL, HF_OPT(.delay_ms = 50), NULL));
    sleep_ms(100);
    int64_t before = cpu_ms();
    CHECK_INT(worker_wait(worker_start(offer, HF_WORKER(.slots = 2, .local_max = 2, .drain = 1))),
              0);
    CHECK_INT(effects("end"), 8);
    CHECK(cpu_ms() - before < 1500 * test_slowness());
}

/* A slow call cannot become a row while its run is with a slot: the lane must not ask all the time.
 */
TEST(a_worker_with_a_slow_task_beside_a_step_does_not_spin)
{
    client = client_open();
    OK(client, hf_start(client, "slow_beside_step", NULL, HF_OPT(.id = "r"), NULL));
    int64_t before = cpu_ms();
    CHECK_INT(worker_wait(worker_start(offer, HF_WORKER(.slots = 2, .spill_ms = 100, .drain = 1))),
              0);
    CHECK_TEXT(status_of(client, "r"), "completed");
    CHECK(cpu_ms() - before < 600 * test_slowness());
}
