/* An application in C for the benches of the border: an event costs it nothing, or a thousand calls
 * of the host. */

#include "koukan.h"

static const kk_host *host;
static const kk_call_1 *calls;
static kk_call own;

static kk_status start(const kk_start *start, void **instance) {
    own = start->call;
    *instance = &own;
    return KK_PENDING;
}

static kk_status event(void *instance, const kk_event *event) {
    const kk_call *call = instance;
    if (event->digit == '9' && calls != NULL) {
        for (int i = 0; i < 1000; i++) calls->cancel(host, *call, 12345);
    }
    return KK_PENDING;
}

static void destroy(void *instance) { (void)instance; }

static const kk_app_1 app = { sizeof(kk_app_1), start, event, destroy };

static kk_status init(const kk_host *given) {
    kk_str id = KK_STR_INIT(KK_ID_CALL_1);
    host = given;
    calls = given->get_extension(given, id);
    return KK_OK;
}

static const void *get_factory(kk_str id) {
    /* kk.app/1 */
    return id.len == 8 && id.ptr[3] == 'a' ? &app : NULL;
}

const kk_entry kk_module_entry = {
    KK_MAGIC_INIT, sizeof(kk_entry), KK_ABI_MAJOR, 0, 0,
    KK_STR_INIT("border"), KK_STR_INIT("1.0.0"), KK_STR_INIT("cc"),
    NULL, 0, init, NULL, get_factory
};
