/* Loading of modules: shared objects that offer workflows and tasks. */
#include <dlfcn.h>
#include <string.h>

#include "cli/offer.h"

typedef int (*module_fn)(hf *);

int
offer_module(struct cli *c, const char *path)
{
    /* A name without a slash would be looked for in the system's libraries. */
    const char *file = strchr(path, '/') ? path : arena_printf(&c->arena, "./%s", path);
    if (file == NULL)
        return cli_nomem(c);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return err_set(&c->err, HF_INVALID, "module %s does not load: %s", path, dlerror());
    void *symbol = dlsym(library, "holdfast_module");
    if (symbol == NULL)
        return err_set(&c->err, HF_INVALID, "module %s has no function holdfast_module", path);
    module_fn offer;
    memcpy(&offer, &symbol, sizeof(offer));
    int rc = offer(c->h);
    if (rc == 0)
        return HF_OK; /* stays loaded: its functions are in use to the end */
    const char *text = hf_errmsg(c->h);
    return err_set(&c->err, HF_INVALID, "module %s: holdfast_module returned %d%s%s", path, rc,
                   text[0] ? ": " : "", text);
}
