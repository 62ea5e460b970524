/* A module that breaks the contract in the ways that a host can survive; the macros of the command
 * line choose what it does beside its applications. */

#include "koukan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#ifndef UNRULY_VERSION
#define UNRULY_VERSION "1"
#endif

static const kk_host *host;
static const kk_call_1 *calls;
static const kk_wake_1 *wakes;
static int started, destroyed;
static char one;

static int is(kk_str text, const char *word) {
    return text.len == strlen(word) && memcmp(text.ptr, word, text.len) == 0;
}

static void nap(long ms) {
    struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
    thrd_sleep(&time, NULL);
}

/* What an application is, by its address. */
static char garbage_event, lingers, slow, early, drains;

static kk_status start(const kk_start *start, void **instance) {
    kk_op op = 0;
    kk_str name = start->application;
    started++;
    if (is(name, "garbage-start")) {
        *instance = &one;
        started--;
        return 77;
    }
    if (is(name, "negative")) {
        started--;
        return -4711;
    }
    /* Done, and an instance all the same: it must not be destroyed. */
    if (is(name, "twice")) {
        *instance = &one;
        started--;
        return KK_OK;
    }
    /* An instance of nothing. */
    if (is(name, "null")) return KK_PENDING;
    if (is(name, "counts")) {
        char text[64];
        started--;
        snprintf(text, sizeof text, "started %d destroyed %d", started, destroyed);
        kk_str words = { text, strlen(text) };
        calls->explain(host, start->call, words);
        return KK_E_FAILED;
    }
    calls->answer(host, start->call, &op);
    if (is(name, "garbage-event")) *instance = &garbage_event;
    else if (is(name, "slow")) *instance = &slow;
    else if (is(name, "early")) *instance = &early;
    else if (is(name, "drains")) *instance = &drains;
    else *instance = &lingers;
    return KK_PENDING;
}

static kk_status event(void *instance, const kk_event *event) {
    if (instance == &garbage_event) return 42;
    if (instance == &slow) nap(30);
    if (instance == &early && event->type == KK_EVENT_OP_DONE) return KK_OK;
    if (instance == &drains && event->type == KK_EVENT_DRAIN) return KK_OK;
    return KK_PENDING;
}

static void destroy(void *instance) {
    (void)instance;
    destroyed++;
}

#ifdef UNRULY_KEY
static pthread_key_t key;
static void forget(void *value) { (void)value; }
#endif

#ifdef UNRULY_THREAD
static int lives(void *data) {
    (void)data;
    nap(UNRULY_THREAD);
    return 0;
}
#endif

static kk_status init(const kk_host *given) {
    host = given;
    calls = host->get_extension(host, KK_STR(KK_ID_CALL_1));
    wakes = host->get_extension(host, KK_STR(KK_ID_WAKE_1));
    if (calls == NULL || wakes == NULL) return KK_E_UNSUPPORTED;
#ifdef UNRULY_KEY
    /* What the standard library of Rust does in a module: nobody deletes the key. */
    if (pthread_key_create(&key, forget) != 0 || pthread_setspecific(key, &one) != 0)
        return KK_E_LIMIT;
#endif
#ifdef UNRULY_THREAD
    thrd_t thread;
    if (thrd_create(&thread, lives, NULL) != thrd_success) return KK_E_FAILED;
    thrd_detach(thread);
#endif
#ifdef UNRULY_WAKER
    wakes->retain(host);
#endif
    return KK_OK;
}

static const kk_app_1 app = { sizeof(kk_app_1), start, event, destroy };

static const void *get_factory(kk_str id) {
#ifdef UNRULY_DRAFT
    if (is(id, UNRULY_DRAFT)) return &app;
#endif
    return is(id, KK_ID_APP_1) ? &app : NULL;
}

const kk_entry kk_module_entry = {
    KK_MAGIC_INIT, sizeof(kk_entry), KK_ABI_MAJOR, 0, 0,
    KK_STR_INIT("unruly"), KK_STR_INIT(UNRULY_VERSION), KK_STR_INIT("cc"),
    NULL, 0, init, NULL, get_factory
};
