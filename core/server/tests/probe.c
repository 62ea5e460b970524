/* A module in C for the tests of the module host; the macros of the command line give it its
 * faults. Its applications fail with a text that says what they saw. */

#include "koukan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#ifndef PROBE_MAGIC
#define PROBE_MAGIC KK_MAGIC_INIT
#endif
#ifndef PROBE_MAJOR
#define PROBE_MAJOR KK_ABI_MAJOR
#endif
#ifndef PROBE_MINOR
#define PROBE_MINOR KK_ABI_MINOR
#endif
#ifndef PROBE_SIZE
#define PROBE_SIZE sizeof(kk_entry)
#endif
#ifndef PROBE_REQUIRED
#define PROBE_REQUIRED KK_ID_LOG_1
#endif
#ifndef PROBE_INIT
#define PROBE_INIT KK_OK
#endif

struct probe {
    kk_call call;
    kk_op op;
    int done;
    int hang_ups;
    int wakes;
    kk_status last;
    char text[64];
};

static const kk_host *host;
static const kk_call_1 *calls;
static const kk_wake_1 *wakes;
static const kk_store_1 *store;
static const kk_lamp_1 *lamp;
static int started, destroyed, inside;

static int is(kk_str text, const char *word) {
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static kk_status fail(kk_call call, const char *text) {
    kk_str words = { text, strlen(text) };
    if (calls != NULL) calls->explain(host, call, words);
    return KK_E_FAILED;
}

static int elsewhere(void *data) {
    struct probe *probe = data;
    kk_op op = 0;
    return calls->answer(host, probe->call, &op);
}

static int wake_elsewhere(void *data) {
    struct probe *probe = data;
    for (int i = 0; i < 100; i++) wakes->wake(host, probe->call);
    return 0;
}

static kk_status on_thread(struct probe *probe, int (*body)(void *)) {
    thrd_t thread;
    int result = 0;
    if (thrd_create(&thread, body, probe) != thrd_success) return KK_E_FAILED;
    thrd_join(thread, &result);
    return result;
}

static kk_status begin(const kk_start *start, struct probe *probe) {
    char text[96];
    kk_str name = start->application;
    if (is(name, "answers")) return calls->answer(host, probe->call, &probe->op);
    if (is(name, "many")) {
        kk_op op = 0;
        int count = 0;
        kk_status status;
        while ((status = calls->sleep(host, probe->call, 1000, &op)) == KK_OK) count++;
        snprintf(text, sizeof text, "%d then %d", count, (int)status);
        return fail(probe->call, text);
    }
    if (is(name, "waits")) {
        kk_op op = 0;
        calls->sleep(host, probe->call, 1000, &op);
        return calls->collect_digits(host, probe->call, 1, 4, 1000, &op);
    }
    if (is(name, "plays")) {
        kk_prompt prompts[2] = {
            { sizeof(kk_prompt), KK_STR_INIT("ja"), KK_STR_INIT("closed") },
            { sizeof(kk_prompt), KK_STR_INIT(""), KK_STR_INIT("own") },
        };
        kk_status status = calls->play(host, probe->call, prompts, 2, 3, &probe->op);
        return status != KK_OK ? status : calls->cancel(host, probe->call, probe->op);
    }
    if (is(name, "objects")) {
        kk_prompt own = { sizeof(kk_prompt), KK_STR_INIT(KK_OBJECTS), KK_STR_INIT("m-1") };
        kk_prompt away = { sizeof(kk_prompt), KK_STR_INIT(KK_OBJECTS), KK_STR_INIT("../m") };
        if (calls->play(host, probe->call, &away, 1, 1, &probe->op) != KK_E_ARGUMENT)
            return fail(probe->call, "a path that leads out was taken");
        return calls->play(host, probe->call, &own, 1, 1, &probe->op);
    }
    if (is(name, "thread")) {
        snprintf(text, sizeof text, "thread %d", (int)on_thread(probe, elsewhere));
        return fail(probe->call, text);
    }
    if (is(name, "woken")) return on_thread(probe, wake_elsewhere);
    if (is(name, "wrong")) {
        kk_op op = 0;
        kk_str bad = { "\xff", 1 };
        kk_prompt prompt = { sizeof(kk_prompt), bad, bad };
        kk_prompt small = { 1, bad, bad };
        snprintf(text, sizeof text, "%d %d %d %d %d %d %d %d",
                 (int)calls->answer(host, probe->call + 1000, &op),
                 (int)calls->answer(host, probe->call, NULL),
                 (int)calls->play(host, probe->call, &prompt, 1, 1, &op),
                 (int)calls->play(host, probe->call, &small, 1, 1, &op),
                 (int)calls->play(host, probe->call, NULL, 5, 1, &op),
                 (int)calls->collect_digits(host, probe->call, 2, 1, 1, &op),
                 (int)calls->hang_up(host, probe->call, 200, &op),
                 (int)calls->cancel(host, probe->call, 77));
        return fail(probe->call, text);
    }
    if (is(name, "keeps")) {
        kk_str acme = KK_STR("acme"), key = KK_STR("m/1"), value = KK_STR("{\"a\":1}");
        kk_str none = KK_STR(""), away = KK_STR("../x");
        char buffer[16];
        size_t len = 0, more = 0;
        uint64_t bytes = 0;
        kk_status put = store->put(host, acme, key, value);
        kk_status got = store->get(host, acme, key, buffer, sizeof buffer, &len);
        kk_status small = store->get(host, acme, key, buffer, 2, &more);
        kk_status next = store->next(host, acme, KK_STR("m/"), none, buffer, 16, &more);
        kk_status last = store->next(host, acme, KK_STR("m/"), key, NULL, 0, &more);
        kk_status object = store->object_size(host, acme, KK_STR("x"), &bytes);
        kk_status wrong = store->object_size(host, acme, away, &bytes);
        kk_status empty = store->put(host, acme, none, value);
        lamp->set_messages(host, acme, KK_STR("main"), 2, 1);
        buffer[3] = 0;
        snprintf(text, sizeof text, "%s %d %d %u %d %d %d %d %d %d %s %d", buffer, (int)put, (int)got,
                 (unsigned)len, (int)small, (int)next, (int)last, (int)object, (int)wrong,
                 (int)empty, is(start->tenant, "acme") ? "own" : "foreign",
                 (int)start->date_ms);
        return fail(probe->call, text);
    }
    if (is(name, "counts")) {
        snprintf(text, sizeof text, "started %d destroyed %d", started, destroyed);
        return fail(probe->call, text);
    }
    if (is(name, "ungranted")) {
        const void *table = host->get_extension(host, KK_STR(KK_ID_CALL_1));
        const void *unknown = host->get_extension(host, KK_STR("kk.teleport/1"));
        return table == NULL && unknown == NULL ? KK_OK : KK_E_FAILED;
    }
    return KK_E_NOT_FOUND;
}

static kk_status start(const kk_start *start, void **instance) {
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) return KK_E_FAILED;
    probe->call = start->call;
    inside = 1;
    kk_status status = begin(start, probe);
    inside = 0;
    if (status != KK_OK || is(start->application, "ungranted")) {
        free(probe);
        return status;
    }
    started++;
    *instance = probe;
    return KK_PENDING;
}

static kk_status event(void *instance, const kk_event *event) {
    struct probe *probe = instance;
    char text[160];
    if (inside) return fail(probe->call, "called from inside a call");
    switch (event->type) {
    case KK_EVENT_OP_DONE:
        probe->done++;
        probe->last = event->status;
        snprintf(probe->text, sizeof probe->text, "%.*s", (int)event->text.len, event->text.ptr);
        return KK_PENDING;
    case KK_EVENT_HANG_UP: probe->hang_ups++; return KK_PENDING;
    case KK_EVENT_WAKE: probe->wakes++; return KK_PENDING;
    case KK_EVENT_DIGIT:
        if (event->digit == '#') return KK_OK;
        snprintf(text, sizeof text, "done %d last %d text %s hang-ups %d wakes %d", probe->done,
                 (int)probe->last, probe->text, probe->hang_ups, probe->wakes);
        return fail(probe->call, text);
    default: return KK_PENDING;
    }
}

static void destroy(void *instance) {
    destroyed++;
    free(instance);
}

static kk_status init(const kk_host *given) {
    host = given;
    calls = host->get_extension(host, KK_STR(KK_ID_CALL_1));
    wakes = host->get_extension(host, KK_STR(KK_ID_WAKE_1));
    store = host->get_extension(host, KK_STR(KK_ID_STORE_1));
    lamp = host->get_extension(host, KK_STR(KK_ID_LAMP_1));
    return PROBE_INIT;
}

static const kk_app_1 app = { sizeof(kk_app_1), start, event, destroy };

/* A task that counts its waits in the store. */
struct task {
    kk_call number;
    int waits;
};

static void again(struct task *task) {
    kk_op op = 0;
    calls->sleep(host, task->number, 10000, &op);
}

static kk_status task_start(const kk_start *start, void **instance) {
    static struct task task;
    kk_op op = 0;
    if (!is(start->application, "task")) return KK_E_NOT_FOUND;
    task.number = start->call;
    if (calls->answer(host, task.number, &op) != KK_OK) return KK_E_FAILED;
    again(&task);
    *instance = &task;
    return KK_PENDING;
}

static kk_status task_event(void *instance, const kk_event *event) {
    struct task *task = instance;
    char text[64];
    if (event->type != KK_EVENT_OP_DONE) return KK_PENDING;
    if (event->status == KK_E_UNSUPPORTED) {
        store->put(host, KK_STR("acme"), KK_STR("answer"), KK_STR("refused"));
        return KK_PENDING;
    }
    snprintf(text, sizeof text, "%d at %ld", ++task->waits, (long)event->date_ms);
    kk_str said = { text, strlen(text) };
    store->put(host, KK_STR("acme"), KK_STR("waits"), said);
    again(task);
    return task->waits < 3 ? KK_PENDING : KK_OK;
}

static void task_destroy(void *instance) { (void)instance; }

static const kk_app_1 task_table = { sizeof(kk_app_1), task_start, task_event, task_destroy };

static const void *get_factory(kk_str id) {
    if (is(id, KK_ID_TASK_1) && store != NULL && calls != NULL) return &task_table;
    return is(id, KK_ID_APP_1) ? &app : NULL;
}

static const kk_str required[] = { KK_STR_INIT(PROBE_REQUIRED) };

#ifndef PROBE_NO_ENTRY
const kk_entry kk_module_entry = {
    PROBE_MAGIC, PROBE_SIZE, PROBE_MAJOR, PROBE_MINOR, 0,
    KK_STR_INIT("probe"), KK_STR_INIT("1.2.3"), KK_STR_INIT("cc"),
    required, 1, init, NULL, get_factory
};
#else
const void *const probe_unused[] = { required, (const void *)&app, (const void *)&task_table };
kk_status (*const probe_init)(const kk_host *) = init;
const void *(*const probe_factory)(kk_str) = get_factory;
#endif
