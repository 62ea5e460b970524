/*
 * koukan.h - the border between the telephone exchange Koukan and its loadable modules.
 *
 * ISO C11. A module is a shared object that exports one symbol, the constant data object
 * `kk_module_entry`, and nothing else of interest. The host reads the first 16 bytes of that
 * object in the file, before it loads the file, and refuses what does not fit.
 *
 * Versions. The major number must be the host's; the minor number is the lowest that the module
 * needs and must not be above the host's. Every struct but kk_str begins with its size (kk_entry
 * after its magic) and only grows at its end: read no further than min(size, sizeof own struct). A
 * change that breaks a module gets a new identifier, such as "kk.call/2".
 *
 * Memory. Strings are UTF-8 with a length, without a terminating zero, and borrowed for the
 * duration of the call. Nobody frees the other's memory.
 *
 * Threads. [call] is the one control thread that owns a call for its whole life; every function of
 * kk_app_1 is called on it, events one after the other. [any] may be called on every thread. A
 * function of kk_call_1 on a wrong thread does nothing and answers KK_E_THREAD. A module's own
 * threads are joined in `deinit`.
 *
 * Faults. No exception, panic or longjmp may leave the module through one of its functions.
 */
#ifndef KOUKAN_H
#define KOUKAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Strings ------------------------------------------------------------------------------ */

typedef struct kk_str {
    const char *ptr;
    size_t len;
} kk_str;

/* A literal as an expression, and as an initialiser of a static object: ISO C forbids the compound
 * literal of the first in the second. */
#define KK_STR(literal) ((kk_str){ (literal), sizeof(literal) - 1 })
#define KK_STR_INIT(literal) { (literal), sizeof(literal) - 1 }

/* ---- Versions and identifiers ------------------------------------------------------------- */

/* "KOUKAN", SUB, LF: a transfer in text mode damages it. */
#define KK_MAGIC_INIT { 0x4b, 0x4f, 0x55, 0x4b, 0x41, 0x4e, 0x1a, 0x0a }
#define KK_ABI_MAJOR 1
#define KK_ABI_MINOR 2

#define KK_ID_APP_1 "kk.app/1"     /* factory of the module: kk_app_1 */
#define KK_ID_TASK_1 "kk.task/1"   /* factory of the module: kk_app_1, run without a call */
#define KK_ID_CALL_1 "kk.call/1"   /* extension of the host: kk_call_1 */
#define KK_ID_LAMP_1 "kk.lamp/1"   /* extension of the host: kk_lamp_1 */
#define KK_ID_LOG_1 "kk.log/1"     /* extension of the host: kk_log_1 */
#define KK_ID_MAIL_1 "kk.mail/1"   /* extension of the host: kk_mail_1 */
#define KK_ID_SINK_1 "kk.sink/1"   /* factory of the module: kk_sink_1 */
#define KK_ID_STORE_1 "kk.store/1" /* extension of the host: kk_store_1 */
#define KK_ID_WAKE_1 "kk.wake/1"   /* extension of the host: kk_wake_1 */

/* ---- Statuses ----------------------------------------------------------------------------- */

typedef int32_t kk_status;

enum {
    KK_PENDING = 1,         /* the application goes on */
    KK_OK = 0,              /* as asked; the application is done */
    KK_E_FAILED = -1,       /* it went wrong on the answering side */
    KK_E_CANCELLED = -2,    /* the module cancelled the operation */
    KK_E_HANGUP = -3,       /* the call ended first */
    KK_E_TIMEOUT = -4,      /* nothing came in time */
    KK_E_NOT_FOUND = -5,    /* the thing, call or application named does not exist */
    KK_E_UNSUPPORTED = -6,  /* the host does not do this */
    KK_E_THREAD = -7,       /* called on a wrong thread */
    KK_E_ARGUMENT = -8,     /* an argument makes no sense, or a text is no UTF-8 */
    KK_E_LIMIT = -9,        /* too much at once */
    KK_E_PANIC = -10        /* the module's code panicked; the border caught it */
};

/* A call as one application sees it; the number is valid from `start` to `destroy`. */
typedef uint64_t kk_call;
/* An operation under way, unique within its call; never 0. */
typedef uint64_t kk_op;

/* ---- The host ----------------------------------------------------------------------------- */

/* One for each loaded build; valid from `init` to the end of the process. */
typedef struct kk_host {
    size_t size;
    void *ctx; /* the host's own */
    uint16_t abi_major;
    uint16_t abi_minor;
    uint32_t reserved; /* 0 */
    /* [any] The table of an extension, valid as long as the host; NULL when the host does not know
     * it or the configuration does not grant it to this module. */
    const void *(*get_extension)(const struct kk_host *host, kk_str id);
} kk_host;

/* kk.log/1 - always granted. */
enum { KK_LOG_ERROR = 1, KK_LOG_WARN = 2, KK_LOG_INFO = 3, KK_LOG_DEBUG = 4 };

typedef struct kk_log_1 {
    size_t size;
    /* [any] Writes one line about a call, or about the module itself when `call` is 0. */
    void (*write)(const kk_host *host, kk_call call, uint32_t level, kk_str text);
} kk_log_1;

/* kk.wake/1 - always granted. */
typedef struct kk_wake_1 {
    size_t size;
    /* [any] Asks for one KK_EVENT_WAKE of the call; several before it comes are one. A call that is
     * over is ignored. */
    kk_status (*wake)(const kk_host *host, kk_call call);
    /* [any] Something that will call `wake` is held, or no longer: the build stays loaded while one
     * is. `release` never unloads from inside. */
    void (*retain)(const kk_host *host);
    void (*release)(const kk_host *host);
} kk_wake_1;

/* A prompt; `language` empty means a file of the call's tenant, KK_OBJECTS an object of the
 * module's own store for that tenant (since 1.1). */
#define KK_OBJECTS "kk:objects"

typedef struct kk_prompt {
    size_t size; /* the same in every element of an array: its stride */
    kk_str language;
    kk_str name;
} kk_prompt;

/* What is recorded, and until when. Whichever comes first ends it; 0 and empty are never. */
typedef struct kk_recording {
    size_t size;
    kk_str object; /* the object to be made, see kk_store_1 */
    uint32_t max_ms;
    uint32_t silence_ms;
    kk_str keys; /* any of these keys ends it */
} kk_recording;

/*
 * kk.call/1 - granted by `grants = ["call"]`. All [call].
 *
 * A function that takes `op` starts an operation: it returns at once, KK_OK means that exactly one
 * KK_EVENT_OP_DONE with this number follows, also after `cancel` (KK_E_CANCELLED) and after the end
 * of the call (KK_E_HANGUP), unless the application is destroyed first. The event never comes from
 * inside the function. With any other status nothing was started.
 */
typedef struct kk_call_1 {
    size_t size;
    /* Answers the caller (200); done at once when that has happened. */
    kk_status (*answer)(const kk_host *host, kk_call call, kk_op *op);
    /* Opens early media (183 with SDP); done at once when media flows. */
    kk_status (*early_media)(const kk_host *host, kk_call call, kk_op *op);
    /* Plays prompts in their order, `times` times; 0 is for ever. */
    kk_status (*play)(const kk_host *host, kk_call call, const kk_prompt *prompts, size_t count,
                      uint32_t times, kk_op *op);
    /* Collects up to `max` digits; ends at `max`, at `#`, or `timeout_ms` after the last one. The
     * event's text holds them; KK_E_TIMEOUT when they are fewer than `min`. */
    kk_status (*collect_digits)(const kk_host *host, kk_call call, uint8_t min, uint8_t max,
                                uint32_t timeout_ms, kk_op *op);
    /* Waits. */
    kk_status (*sleep)(const kk_host *host, kk_call call, uint32_t ms, kk_op *op);
    /* Ends the call; `sip_status` (400 to 699) is what a caller hears who was not answered. */
    kk_status (*hang_up)(const kk_host *host, kk_call call, uint16_t sip_status, kk_op *op);
    /* Cancels an operation; its event is still owed. KK_E_NOT_FOUND when it has had it. */
    kk_status (*cancel)(const kk_host *host, kk_call call, kk_op op);
    /* Says in words why the application is about to end with a negative status. */
    kk_status (*explain)(const kk_host *host, kk_call call, kk_str text);
    /* Since 1.1: the call goes on to a number as if its device had dialled it, through the same
     * rules. KK_OK, and the application is over; KK_E_FAILED with the rule's word when the plan
     * refuses it, and the application goes on. */
    kk_status (*dial)(const kk_host *host, kk_call call, kk_str number, kk_op *op);
    /* Since 1.1: records what the caller says into an object of the module's store. The event's
     * text is the length in ms, in digits, also with KK_E_HANGUP, which is how a message usually
     * ends. The object is whole when the event comes. */
    kk_status (*record)(const kk_host *host, kk_call call, const kk_recording *recording,
                        kk_op *op);
} kk_call_1;

/*
 * kk.lamp/1 - granted with "call". [call]: how many messages wait in a mailbox of the plan. The
 * phones that it is a mailbox of show it.
 */
typedef struct kk_lamp_1 {
    size_t size;
    kk_status (*set_messages)(const kk_host *host, kk_str tenant, kk_str mailbox,
                              uint32_t new_messages, uint32_t old_messages);
} kk_lamp_1;

/*
 * kk.store/1 - granted by `grants = ["store"]`. All [call]. Small records and objects of this
 * module alone, by tenant. What `put` and `remove` did is on the disk before anything that the
 * module orders after it takes effect; it survives the process, however that ends.
 *
 * A function that fills a buffer stores the length in `len`; KK_E_LIMIT when `room` is less, and
 * then nothing was copied. Keys are 1 to 200 bytes, values at most 8,192, of any UTF-8.
 */
typedef struct kk_store_1 {
    size_t size;
    kk_status (*put)(const kk_host *host, kk_str tenant, kk_str key, kk_str value);
    kk_status (*get)(const kk_host *host, kk_str tenant, kk_str key, char *buffer, size_t room,
                     size_t *len);
    /* KK_OK also when there is none. */
    kk_status (*remove)(const kk_host *host, kk_str tenant, kk_str key);
    /* The first key behind `after` that begins with `prefix`; KK_E_NOT_FOUND when there is none. */
    kk_status (*next)(const kk_host *host, kk_str tenant, kk_str prefix, kk_str after, char *buffer,
                      size_t room, size_t *len);
    /* The first tenant behind `after` that has records. */
    kk_status (*next_tenant)(const kk_host *host, kk_str after, char *buffer, size_t room,
                             size_t *len);
    /* Bytes of an object; KK_E_NOT_FOUND. Names of objects are 1 to 64 of a-z, 0-9, '-'. */
    kk_status (*object_size)(const kk_host *host, kk_str tenant, kk_str name, uint64_t *bytes);
    kk_status (*object_remove)(const kk_host *host, kk_str tenant, kk_str name);
} kk_store_1;

/* A mail; the object is attached as it is now, whatever becomes of it afterwards. */
typedef struct kk_message {
    size_t size;
    kk_str tenant;
    kk_str id; /* the same mail ordered twice is sent once: 1 to 64 of a-z, 0-9, '-' */
    const kk_str *to;
    size_t to_len; /* 1 to 16 */
    kk_str subject;
    kk_str text;
    kk_str object;    /* of the module's store; empty: nothing is attached */
    kk_str file_name; /* what the attachment is called */
} kk_message;

/*
 * kk.mail/1 - granted by `grants = ["mail"]`. [call]: queues a mail on the disk; the host sends it
 * and tries again until it is taken or too old.
 */
typedef struct kk_mail_1 {
    size_t size;
    kk_status (*send)(const kk_host *host, const kk_message *message);
} kk_mail_1;

/* ---- The module --------------------------------------------------------------------------- */

/* Events. A type that you do not know must be ignored: return KK_PENDING. */
enum {
    KK_EVENT_OP_DONE = 1, /* op, status, text */
    KK_EVENT_DIGIT = 2,   /* digit: the caller pressed a key that no operation consumed */
    KK_EVENT_HANG_UP = 3, /* the caller is gone; every operation has had its event */
    KK_EVENT_DRAIN = 4,   /* the build is being replaced; finish early if the task allows it */
    KK_EVENT_WAKE = 5     /* somebody called kk_wake_1.wake */
};

typedef struct kk_event {
    size_t size;
    uint64_t now_ns; /* monotonic; a module needs no clock */
    uint32_t type;
    kk_status status;
    kk_op op;
    kk_str text;
    uint32_t digit; /* ASCII: 0 to 9, A to D, *, # */
    uint32_t reserved;
    int64_t date_ms; /* since 1.1: the server's date, in ms since 1970 */
} kk_event;

typedef struct kk_start {
    size_t size;
    uint64_t now_ns;
    kk_call call;
    kk_str application; /* which of the module's applications */
    kk_str arguments;   /* one JSON object */
    int64_t date_ms;    /* since 1.1 */
    kk_str tenant;      /* since 1.1: whose call it is */
} kk_start;

/*
 * kk.app/1: applications on calls. All [call].
 *
 * kk.task/1, the same table, since 1.1: the host starts the application "task" once, without a
 * call, when the module is loaded. Its kk_call may wait (`sleep`, whose end comes early when the
 * server's date is set) and cancel, and everything that takes a tenant serves it.
 */
typedef struct kk_app_1 {
    size_t size;
    /* KK_PENDING: stores the instance and gets events. KK_OK: done already; negative: failed; in
     * both there is no instance and no `destroy`. */
    kk_status (*start)(const kk_start *start, void **instance);
    /* KK_PENDING: goes on. KK_OK or negative: done or failed, no event follows but `destroy`. A
     * failure ends the application alone; the dialplan goes on. */
    kk_status (*event)(void *instance, const kk_event *event);
    /* Exactly once for each instance, never from inside another function. */
    void (*destroy)(void *instance);
} kk_app_1;

/* What a record is; as bits of kk_sink_1.kinds: 1 << KK_RECORD_CALL. */
enum {
    KK_RECORD_CALL = 1, /* the final record of a call */
    KK_RECORD_EVENT = 2 /* anything else that happened: a call as it stands, a registration */
};

typedef struct kk_record {
    size_t size;       /* the same in every element of an array: its stride */
    uint64_t sequence; /* grows from record to record, with gaps; of one record always the same */
    uint32_t kind;
    uint32_t reserved;
    kk_str text; /* one JSON object */
} kk_record;

typedef struct kk_open {
    size_t size;
    kk_str options; /* `[module.NAME.options]` as one JSON object */
    kk_str base;    /* the directory that relative paths in it begin at */
    uint64_t acknowledged;
} kk_open;

/*
 * kk.sink/1, since 1.2 - granted by `grants = ["records"]`. A module that carries records out of
 * the house. All on one thread that the host makes for it, where it may block; of one module there
 * is one sink at a time. A record comes again until it is acknowledged, after any end of the
 * process, so that each comes at least once: its sequence tells whether it is known.
 */
typedef struct kk_sink_1 {
    size_t size;
    uint64_t kinds;
    /* KK_OK: stores the sink. Negative: it cannot work now; the host tries again. */
    kk_status (*open)(const kk_open *open, void **sink);
    /* Takes records in their order, and stores in `acknowledged` the sequence of the last one that
     * no end of the process can lose any more. Negative: the rest comes again later. */
    kk_status (*deliver)(void *sink, const kk_record *records, size_t count,
                         uint64_t *acknowledged);
    /* Exactly once for each sink. */
    void (*close)(void *sink);
} kk_sink_1;

typedef struct kk_entry {
    uint8_t magic[8];   /* KK_MAGIC_INIT */
    uint32_t size;      /* sizeof(kk_entry) */
    uint16_t abi_major; /* KK_ABI_MAJOR */
    uint16_t abi_minor; /* the lowest that serves */
    uint64_t flags;     /* 0 */
    kk_str name;
    kk_str version;
    kk_str toolchain;         /* what built it, for people */
    const kk_str *required;   /* extensions without which the module does not start */
    size_t required_len;
    /* Once after loading, on any thread; not KK_OK refuses the module. No operation here. */
    kk_status (*init)(const kk_host *host);
    /* Once, after the last instance was destroyed; may be NULL. */
    void (*deinit)(void);
    /* The table of a factory, valid until `deinit`; NULL when the module has none such. */
    const void *(*get_factory)(kk_str id);
} kk_entry;

#if defined(__GNUC__) || defined(__clang__)
#define KK_EXPORT __attribute__((visibility("default")))
#else
#define KK_EXPORT
#endif

/* The one symbol of a module. */
extern KK_EXPORT const kk_entry kk_module_entry;

/*
 * A second symbol that a module may have, since 1.2: what its applications take, as TOML, read from
 * the file without running any of it. With it the keys of `do = { module = "NAME", ... }` are
 * checked where the admin wrote them. A table for each application, in it one for each key:
 *
 *     [greet]
 *     prompt = { type = "prompt", required = true }
 *     times = { type = "whole", min = 1, max = 9 }
 *     language = { type = "text", one_of = ["ja", "en"] }
 *
 * Types: text, whole, flag, prompt, texts, prompts.
 */
extern KK_EXPORT const char kk_module_schema[];

#ifdef __cplusplus
}
#endif

#endif /* KOUKAN_H */
