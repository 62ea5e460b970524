/*
 * A module in plain C from koukan.h alone: it answers, says a menu that any key interrupts, plays
 * what the key means, and hangs up. Whoever presses nothing hears the menu twice more.
 *
 *     cc -std=c11 -shared -fPIC -fvisibility=hidden -I core/abi/include -o greeter.so greeter.c
 *
 * Nothing here blocks: each operation returns at once, and its one result comes as an event. What
 * the call waits for is `step`; there is one struct a call and nothing else.
 */
#include "koukan.h"

#include <stdlib.h>
#include <string.h>

enum step { ANSWERING, MENU, CHOSEN, PLAYING, HANGING_UP };

struct greeter {
    kk_call call;
    enum step step;
    kk_op menu;   /* the menu while it plays, else 0 */
    kk_op digits; /* the key that is waited for, else 0 */
    int rounds;
    char digit;
    char language[8];
};

static const kk_host *host;
static const kk_call_1 *calls;
static const kk_log_1 *logs;

static const int ROUNDS = 3;

static kk_prompt prompt(struct greeter *greeter, kk_str name) {
    kk_prompt one = { sizeof one, { greeter->language, strlen(greeter->language) }, name };
    return one;
}

/* The menu and the key that interrupts it run side by side. */
static kk_status say_menu(struct greeter *greeter) {
    kk_prompt menu = prompt(greeter, KK_STR("menu"));
    kk_status status;
    greeter->step = MENU;
    greeter->rounds++;
    status = calls->play(host, greeter->call, &menu, 1, 1, &greeter->menu);
    if (status != KK_OK) return status;
    return calls->collect_digits(host, greeter->call, 1, 1, 8000, &greeter->digits);
}

static kk_status hang_up(struct greeter *greeter) {
    kk_op op;
    greeter->step = HANGING_UP;
    return calls->hang_up(host, greeter->call, 480, &op);
}

static kk_status play_choice(struct greeter *greeter) {
    kk_prompt choice = prompt(greeter, greeter->digit == '1' ? KK_STR("closed") : KK_STR("lunch"));
    kk_op op;
    greeter->step = PLAYING;
    return calls->play(host, greeter->call, &choice, 1, 1, &op);
}

/* A result: of the menu, of its key, or of the one operation that is under way. */
static kk_status on_done(struct greeter *greeter, const kk_event *event) {
    switch (greeter->step) {
    case ANSWERING:
        return event->status == KK_OK ? say_menu(greeter) : event->status;
    case MENU:
    case CHOSEN:
        if (event->op == greeter->menu) {
            greeter->menu = 0;
            /* A prompt that is missing is a fault of the office, not a reason to hang up. */
            if (event->status == KK_E_NOT_FOUND)
                logs->write(host, greeter->call, KK_LOG_WARN, KK_STR("there is no prompt \"menu\""));
        } else if (event->op == greeter->digits) {
            greeter->digits = 0;
            if (event->status == KK_OK && event->text.len == 1) {
                greeter->digit = event->text.ptr[0];
                greeter->step = CHOSEN;
            }
            if (greeter->menu != 0) calls->cancel(host, greeter->call, greeter->menu);
        }
        if (greeter->menu != 0 || greeter->digits != 0) return KK_OK;
        if (greeter->step == CHOSEN) return play_choice(greeter);
        return greeter->rounds < ROUNDS ? say_menu(greeter) : hang_up(greeter);
    case PLAYING:
        return hang_up(greeter);
    case HANGING_UP:
        return KK_OK;
    }
    return KK_E_FAILED;
}

/* The one argument that matters, without a parser: {"language":"ja"}. */
static void read_language(struct greeter *greeter, kk_str arguments) {
    static const char key[] = "\"language\":\"";
    size_t at, i;
    strcpy(greeter->language, "en");
    for (at = 0; at + sizeof key - 1 <= arguments.len; at++) {
        if (memcmp(arguments.ptr + at, key, sizeof key - 1) != 0) continue;
        at += sizeof key - 1;
        for (i = 0; i + 1 < sizeof greeter->language && at + i < arguments.len; i++) {
            if (arguments.ptr[at + i] == '"') break;
            greeter->language[i] = arguments.ptr[at + i];
        }
        greeter->language[i] = 0;
        return;
    }
}

static kk_status start(const kk_start *start, void **instance) {
    struct greeter *greeter = calloc(1, sizeof *greeter);
    kk_op op;
    kk_status status;
    if (greeter == NULL) return KK_E_FAILED;
    greeter->call = start->call;
    read_language(greeter, start->arguments);
    status = calls->answer(host, greeter->call, &op);
    if (status != KK_OK) {
        free(greeter);
        return status;
    }
    *instance = greeter;
    return KK_PENDING;
}

static kk_status event(void *instance, const kk_event *event) {
    struct greeter *greeter = instance;
    kk_status status;
    switch (event->type) {
    case KK_EVENT_OP_DONE:
        if (event->status == KK_E_HANGUP) return KK_PENDING;
        status = on_done(greeter, event);
        if (greeter->step == HANGING_UP && status == KK_OK) return KK_PENDING;
        return status == KK_OK ? KK_PENDING : status;
    case KK_EVENT_HANG_UP:
        return KK_OK;
    default:
        /* Of a newer host, or of no interest. */
        return KK_PENDING;
    }
}

static void destroy(void *instance) { free(instance); }

static kk_status init(const kk_host *given) {
    host = given;
    calls = host->get_extension(host, KK_STR(KK_ID_CALL_1));
    logs = host->get_extension(host, KK_STR(KK_ID_LOG_1));
    return calls != NULL && logs != NULL ? KK_OK : KK_E_UNSUPPORTED;
}

static const kk_app_1 app = { sizeof(kk_app_1), start, event, destroy };

static const void *get_factory(kk_str id) {
    static const char known[] = KK_ID_APP_1;
    if (id.len != sizeof known - 1 || memcmp(id.ptr, known, id.len) != 0) return NULL;
    return &app;
}

/* What the dialplan may write beside `module = "greeter"`. */
extern KK_EXPORT const char kk_module_schema[];
const char kk_module_schema[] =
    "[greet]\n"
    "language = { type = \"text\", one_of = [\"ja\", \"en\"] }\n";

static const kk_str required[] = { KK_STR_INIT(KK_ID_CALL_1), KK_STR_INIT(KK_ID_LOG_1) };

const kk_entry kk_module_entry = {
    KK_MAGIC_INIT, sizeof(kk_entry), KK_ABI_MAJOR, 0, 0,
    KK_STR_INIT("greeter"), KK_STR_INIT("1.0.0"), KK_STR_INIT("cc"),
    required, sizeof required / sizeof required[0], init, NULL, get_factory
};
