/*
 * The smallest module: a workflow that calls a task.
 *
 *   holdfast worker --module build/examples/hello.so &
 *   holdfast start hello --input '{"name":"Ada"}' --wait
 */
#include <holdfast.h>

static int
greet(hf_tk *tk, void *arg)
{
    const char *name = hf_tk_get(tk, "name");
    (void)arg;
    return hf_tk_return(tk, hf_tk_sprintf(tk, "\"Hello, %s!\"", name ? name : "world"));
}

static int
hello(hf_wf *wf)
{
    const char *greeting;
    HF_TRY(hf_task(wf, "greet", hf_input(wf), &greeting));
    return hf_return(wf, greeting);
}

HF_API int holdfast_module(hf *h);

int
holdfast_module(hf *h)
{
    HF_TRY(hf_handler(h, "greet", greet, NULL, NULL));
    return hf_workflow(h, "hello", 1, hello);
}
