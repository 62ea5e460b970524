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
    /* Its first byte; of no meaning when `len` is 0. */
    const char *ptr;
    /* Its bytes. */
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
#define KK_ABI_MINOR 5

/* Factory of the module, its applications: kk_app_1. */
#define KK_ID_APP_1 "kk.app/1"
/* Factory of the module, run without a call: kk_app_1. */
#define KK_ID_TASK_1 "kk.task/1"
/* Extension of the host, sounds made fit to be played: kk_audio_1. */
#define KK_ID_AUDIO_1 "kk.audio/1"
/* Extension of the host, operations on calls: kk_call_1. */
#define KK_ID_CALL_1 "kk.call/1"
/* A draft: factory of a module that codes sound. This version refuses a module that has it. */
#define KK_ID_CODEC_1_DRAFT "kk.codec/1-draft"
/* Extension of the host, the module's own options: kk_config_1. */
#define KK_ID_CONFIG_1 "kk.config/1"
/* Extension of the host, messages that wait: kk_lamp_1. */
#define KK_ID_LAMP_1 "kk.lamp/1"
/* Extension of the host, mails: kk_mail_1. */
#define KK_ID_MAIL_1 "kk.mail/1"
/* Extension of the host, counters and gauges: kk_metrics_1. */
#define KK_ID_METRICS_1 "kk.metrics/1"
/* A draft: factory of a module that serves pages. This version refuses a module that has it. */
#define KK_ID_PAGE_1_DRAFT "kk.page/1-draft"
/* Factory of a module that carries records out: kk_sink_1. */
#define KK_ID_SINK_1 "kk.sink/1"
/* Factory of a module that answers questions: kk_source_1. */
#define KK_ID_SOURCE_1 "kk.source/1"
/* Extension of the host, records and objects: kk_store_1. */
#define KK_ID_STORE_1 "kk.store/1"
/* Extension of the host, its log: kk_log_1. */
#define KK_ID_LOG_1 "kk.log/1"
/* Extension of the host, waking a call from any thread: kk_wake_1. */
#define KK_ID_WAKE_1 "kk.wake/1"
/* Extension of the host, jobs that may block: kk_worker_1. */
#define KK_ID_WORKER_1 "kk.worker/1"

/* ---- Statuses ----------------------------------------------------------------------------- */

typedef int32_t kk_status;

enum {
    /* The application goes on. */
    KK_PENDING = 1,
    /* As asked; the application is done. */
    KK_OK = 0,
    /* It went wrong on the answering side. */
    KK_E_FAILED = -1,
    /* The module cancelled the operation. */
    KK_E_CANCELLED = -2,
    /* The call ended first. */
    KK_E_HANGUP = -3,
    /* Nothing came in time. */
    KK_E_TIMEOUT = -4,
    /* The thing, call or application named does not exist. */
    KK_E_NOT_FOUND = -5,
    /* The host does not do this. */
    KK_E_UNSUPPORTED = -6,
    /* Called on a wrong thread. */
    KK_E_THREAD = -7,
    /* An argument makes no sense, or a text is no UTF-8. */
    KK_E_ARGUMENT = -8,
    /* Too much at once. */
    KK_E_LIMIT = -9,
    /* The module's code panicked; the border caught it. */
    KK_E_PANIC = -10
};

/* A call as one application sees it; the number is valid from `start` to `destroy`. */
typedef uint64_t kk_call;
/* An operation under way, unique within its call; never 0. */
typedef uint64_t kk_op;

/* ---- The host ----------------------------------------------------------------------------- */

/* One for each loaded build; valid from `init` to the end of the process. */
typedef struct kk_host {
    /* Bytes of the struct. */
    size_t size;
    /* The host's own. */
    void *ctx;
    /* The host's major version. */
    uint16_t abi_major;
    /* The host's minor version. */
    uint16_t abi_minor;
    /* 0. */
    uint32_t reserved;
    /* [any] The table of an extension, valid as long as the host; NULL when the host does not
     * know it or the configuration does not grant it to this module. */
    const void *(*get_extension)(const struct kk_host *host, kk_str id);
} kk_host;

/* kk.log/1 - always granted. */
enum {
    /* Somebody must act. */
    KK_LOG_ERROR = 1,
    /* Somebody should look. */
    KK_LOG_WARN = 2,
    /* What happened. */
    KK_LOG_INFO = 3,
    /* For whoever hunts a fault. */
    KK_LOG_DEBUG = 4
};

typedef struct kk_log_1 {
    /* Bytes of the struct. */
    size_t size;
    /* [any] Writes one line about a call, or about the module itself when `call` is 0. */
    void (*write)(const kk_host *host, kk_call call, uint32_t level, kk_str text);
} kk_log_1;

/* kk.wake/1 - always granted. */
typedef struct kk_wake_1 {
    /* Bytes of the struct. */
    size_t size;
    /* [any] Asks for one KK_EVENT_WAKE of the call; several before it comes are one. A call that
     * is over is ignored. */
    kk_status (*wake)(const kk_host *host, kk_call call);
    /* [any] Something that will call `wake` is held, or no longer: the build stays loaded while
     * one is. `release` never unloads from inside. */
    void (*retain)(const kk_host *host);
    /* [any] It is held no longer. */
    void (*release)(const kk_host *host);
} kk_wake_1;

/* A prompt; `language` empty means a file of the call's tenant, KK_OBJECTS an object of the
 * module's own store for that tenant (since 1.1). */
#define KK_OBJECTS "kk:objects"

typedef struct kk_prompt {
    /* The same in every element of an array: its stride. */
    size_t size;
    /* The language; empty means a file of the tenant. */
    kk_str language;
    /* The name. */
    kk_str name;
} kk_prompt;

/* What is recorded, and until when. Whichever comes first ends it; 0 and empty are never. */
typedef struct kk_recording {
    /* Bytes of the struct. */
    size_t size;
    /* The object to be made, see kk_store_1. */
    kk_str object;
    /* The longest that it may be; 0 is for ever. */
    uint32_t max_ms;
    /* So much silence ends it; 0 is none. */
    uint32_t silence_ms;
    /* Any of these keys ends it. */
    kk_str keys;
} kk_recording;

/*
 * kk.call/1 - granted by `grants = ["call"]`. All [call].
 *
 * A function that takes `op` starts an operation: it returns at once, KK_OK means that exactly one
 * KK_EVENT_OP_DONE with this number follows, also after `cancel` (KK_E_CANCELLED) and after the end
 * of the call (KK_E_HANGUP), unless the application is destroyed first. The event never comes from
 * inside the function. With any other status nothing was started.
 */
typedef struct kk_bridge {
    /* Bytes of the struct. */
    size_t size;
    /* What to dial. */
    kk_str number;
    /* The longest that it may ring; 0 is as long as the plan says. */
    uint32_t ring_ms;
    /* The longest that both may talk; 0 is for ever. */
    uint32_t max_ms;
    /* Any of these keys of the caller brings it back. */
    kk_str keys;
} kk_bridge;

typedef struct kk_call_1 {
    /* Bytes of the struct. */
    size_t size;
    /* Answers the caller (200); done at once when that has happened. */
    kk_status (*answer)(const kk_host *host, kk_call call, kk_op *op);
    /* Opens early media (183 with SDP); done at once when media flows. */
    kk_status (*early_media)(const kk_host *host, kk_call call, kk_op *op);
    /* Plays prompts in their order, `times` times; 0 is for ever. */
    kk_status (*play)(const kk_host *host, kk_call call, const kk_prompt *prompts, size_t count,
                      uint32_t times, kk_op *op);
    /* Collects up to `max` digits; ends at `max`, at `#`, or `timeout_ms` after the last one.
     * The event's text holds them; KK_E_TIMEOUT when they are fewer than `min`. */
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
    /* Since 1.5: dials a number as `dial` does, through the same rules, and lets both talk; the
     * application stays and goes on with its caller when the talk is over. What plays, is
     * collected or recorded ends as cancelled. The event is KK_OK, and its text begins with what
     * came of it: "talked HOW MS" (HOW is "party": that one hung up, "time", or "key-" and the
     * key), "busy STATUS", "declined STATUS", "no-answer STATUS", "unreachable STATUS", "failed
     * STATUS", "refused CAUSE" (by the plan), or "key-" and the key of a caller who did not wait
     * for an answer. Words may be added behind them. KK_E_HANGUP also when the caller goes on
     * without the application: it was sent on, parked or taken into a room. */
    kk_status (*bridge)(const kk_host *host, kk_call call, const kk_bridge *bridge, kk_op *op);
} kk_call_1;

/*
 * kk.lamp/1 - granted with "call". [call]: how many messages wait in a mailbox of the plan. The
 * phones that it is a mailbox of show it.
 */
typedef struct kk_lamp_1 {
    /* Bytes of the struct. */
    size_t size;
    /* How many messages wait in a mailbox. */
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
    /* Bytes of the struct. */
    size_t size;
    /* Writes a record. */
    kk_status (*put)(const kk_host *host, kk_str tenant, kk_str key, kk_str value);
    /* Reads one. */
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
    /* Bytes of an object. */
    kk_status (*object_size)(const kk_host *host, kk_str tenant, kk_str name, uint64_t *bytes);
    /* Removes an object. */
    kk_status (*object_remove)(const kk_host *host, kk_str tenant, kk_str name);
} kk_store_1;

/* A mail; the object is attached as it is now, whatever becomes of it afterwards. */
typedef struct kk_message {
    /* Bytes of the struct. */
    size_t size;
    /* Whose mail it is. */
    kk_str tenant;
    /* The same mail ordered twice is sent once: 1 to 64 of a-z, 0-9, '-'. */
    kk_str id;
    /* Its receivers. */
    const kk_str *to;
    /* 1 to 16. */
    size_t to_len;
    /* Its subject. */
    kk_str subject;
    /* Its words. */
    kk_str text;
    /* Of the module's store; empty: nothing is attached. */
    kk_str object;
    /* What the attachment is called. */
    kk_str file_name;
} kk_message;

/*
 * kk.mail/1 - granted by `grants = ["mail"]`. [call]: queues a mail on the disk; the host sends it
 * and tries again until it is taken or too old.
 */
typedef struct kk_mail_1 {
    /* Bytes of the struct. */
    size_t size;
    /* Queues a mail. */
    kk_status (*send)(const kk_host *host, const kk_message *message);
} kk_mail_1;

/*
 * kk.config/1, since 1.4 - always granted. A function that fills a buffer, as those of kk_store_1.
 * What may stand in the options is said by the table ["kk.config/1"] of kk_module_schema; the host
 * holds them against it before it loads the module.
 */
typedef struct kk_config_1 {
    /* Bytes of the struct. */
    size_t size;
    /* [any] `[module.NAME] options` of the server's file as one JSON object. */
    kk_status (*options)(const kk_host *host, char *buffer, size_t room, size_t *len);
} kk_config_1;

/*
 * kk.worker/1, since 1.4 - granted by `grants = ["worker"]`. Work that may block: a file, another
 * service. Whoever waits for it on a call is woken by kk_wake_1.
 */
typedef struct kk_worker_1 {
    /* Bytes of the struct. */
    size_t size;
    /* [any] KK_OK: `job` is called once with `argument` on a thread of the host's, where it may
     * block; the build stays loaded until it has returned. KK_E_LIMIT: too many wait. */
    kk_status (*run)(const kk_host *host, void (*job)(void *argument), void *argument);
} kk_worker_1;

/*
 * kk.metrics/1, since 1.5 - always granted. A module's own counters and gauges, in the server's
 * /metrics as koukan_module_NAME{module="...",build="..."} and with its builds. They are the
 * build's and go with it; a number of one build means nothing to another.
 */
typedef struct kk_metrics_1 {
    /* Bytes of the struct. */
    size_t size;
    /* [any] The counter of this name, made when there is none: 1 to 48 of a-z, 0-9, '_', the
     * first a letter; `help` says in one line what it counts. KK_E_LIMIT: a build has at most
     * 64. KK_E_ARGUMENT: no such name, or one of a gauge. */
    kk_status (*counter)(const kk_host *host, kk_str name, kk_str help, uint32_t *metric);
    /* [any] The gauge of this name, in the same way. */
    kk_status (*gauge)(const kk_host *host, kk_str name, kk_str help, uint32_t *metric);
    /* [any] Adds to a counter, without allocation or lock. KK_E_NOT_FOUND: there is none. */
    kk_status (*add)(const kk_host *host, uint32_t metric, uint32_t by);
    /* [any] Sets a gauge, as `add` adds. */
    kk_status (*set)(const kk_host *host, uint32_t metric, int64_t value);
} kk_metrics_1;

/* A sound, and what is to be made of it. */
typedef struct kk_sound {
    /* Bytes of the struct. */
    size_t size;
    /* Whose objects are meant; empty: the call's tenant. */
    kk_str tenant;
    /* The bytes of a sound file, copied before the function returns; NULL: `from` is one. */
    const char *bytes;
    /* How many: at most 8,000,000. */
    size_t len;
    /* An object of the module's store that is the sound. */
    kk_str from;
    /* The kind of file by its usual extension ("mp3"), or empty. */
    kk_str kind;
    /* The object to be made. */
    kk_str object;
    /* 8000 or 16000 Hz; 0 is 8000. */
    uint32_t rate;
    /* 0. */
    uint32_t reserved;
} kk_sound;

/*
 * kk.audio/1, since 1.5 - granted by `grants = ["audio"]`. Sounds (WAV, AIFF, MP3, AAC in MP4, FLAC,
 * Ogg Vorbis) are decoded, converted and brought to one loudness on a thread of the host's, and
 * refused with a reason: no sound, silent, shorter than half a second, longer than five minutes.
 */
typedef struct kk_audio_1 {
    /* Bytes of the struct. */
    size_t size;
    /* [call] Starts an operation, as the functions of kk_call_1: a sound becomes an object of
     * the module's store that can be played: mono, at one rate, as loud as every prompt (-23
     * LUFS). The event's text is its length in ms; KK_E_FAILED says in words why it cannot be
     * one, and the object is as it was before. KK_E_LIMIT: too much waits. */
    kk_status (*make_prompt)(const kk_host *host, kk_call call, const kk_sound *sound, kk_op *op);
} kk_audio_1;

/* ---- The module --------------------------------------------------------------------------- */

/* Events. A type that you do not know must be ignored: return KK_PENDING. */
enum {
    /* The one result of an operation: `op`, `status`, `text`. */
    KK_EVENT_OP_DONE = 1,
    /* The caller pressed a key that no operation consumed: `digit`. */
    KK_EVENT_DIGIT = 2,
    /* The caller is gone; every operation has had its event. */
    KK_EVENT_HANG_UP = 3,
    /* The build is being replaced; finish early if the task allows it. */
    KK_EVENT_DRAIN = 4,
    /* Somebody called kk_wake_1.wake. */
    KK_EVENT_WAKE = 5
};

typedef struct kk_event {
    /* Bytes of the struct. */
    size_t size;
    /* Monotonic; a module needs no clock. */
    uint64_t now_ns;
    /* KK_EVENT_*; an unknown one is ignored. */
    uint32_t type;
    /* How the operation ended. */
    kk_status status;
    /* The operation. */
    kk_op op;
    /* Its result, or an explanation. */
    kk_str text;
    /* ASCII: 0 to 9, A to D, *, #. */
    uint32_t digit;
    /* 0. */
    uint32_t reserved;
    /* Since 1.1: the server's date, in ms since 1970. */
    int64_t date_ms;
} kk_event;

typedef struct kk_start {
    /* Bytes of the struct. */
    size_t size;
    /* Monotonic time. */
    uint64_t now_ns;
    /* The call. */
    kk_call call;
    /* Which of the module's applications. */
    kk_str application;
    /* One JSON object. */
    kk_str arguments;
    /* Since 1.1. */
    int64_t date_ms;
    /* Since 1.1: whose call it is. */
    kk_str tenant;
} kk_start;

/*
 * kk.app/1: applications on calls. All [call].
 *
 * kk.task/1, the same table, since 1.1: the host starts the application "task" once, without a
 * call, when the module is loaded. Its kk_call may wait (`sleep`, whose end comes early when the
 * server's date is set) and cancel, and everything that takes a tenant serves it.
 */
typedef struct kk_app_1 {
    /* Bytes of the struct. */
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
    /* The final record of a call. */
    KK_RECORD_CALL = 1,
    /* Anything else that happened. */
    KK_RECORD_EVENT = 2
};

typedef struct kk_record {
    /* The same in every element of an array: its stride. */
    size_t size;
    /* Grows from record to record, with gaps; of one record always the same. */
    uint64_t sequence;
    /* KK_RECORD_*. */
    uint32_t kind;
    /* 0. */
    uint32_t reserved;
    /* One JSON object. */
    kk_str text;
} kk_record;

typedef struct kk_open {
    /* Bytes of the struct. */
    size_t size;
    /* `[module.NAME.options]` as one JSON object. */
    kk_str options;
    /* The directory that relative paths in it begin at. */
    kk_str base;
    /* The last record that the sink has acknowledged. */
    uint64_t acknowledged;
} kk_open;

/*
 * kk.sink/1, since 1.2 - granted by `grants = ["records"]`. A module that carries records out of
 * the house. All on one thread that the host makes for it, where it may block; of one module there
 * is one sink at a time. A record comes again until it is acknowledged, after any end of the
 * process, so that each comes at least once: its sequence tells whether it is known.
 */
typedef struct kk_sink_1 {
    /* Bytes of the struct. */
    size_t size;
    /* The kinds that it wants, each as the bit of its number. */
    uint64_t kinds;
    /* KK_OK: stores the sink. Negative: it cannot work now; the host tries again. */
    kk_status (*open)(const kk_open *open, void **sink);
    /* Takes records in their order, and stores in `acknowledged` the sequence of the last one
     * that no end of the process can lose any more. Negative: the rest comes again later. */
    kk_status (*deliver)(void *sink, const kk_record *records, size_t count,
                         uint64_t *acknowledged);
    /* Exactly once for each sink. */
    void (*close)(void *sink);
} kk_sink_1;

/* The kinds of kk_question. A caller: the answer is { "name": "...", "refuse": "..." }, both of
 * them optional: what phones show, and the reason why the call is refused. Other keys are passed
 * over. */
#define KK_CALLER "caller"

typedef struct kk_question {
    /* Bytes of the struct. */
    size_t size;
    /* Whose question it is. */
    kk_str tenant;
    /* KK_CALLER; an unknown one: KK_E_UNSUPPORTED. */
    kk_str kind;
    /* About whom: a number with its + and country code. */
    kk_str key;
    /* One JSON object: "national" (the number as it is dialled), "called". */
    kk_str facts;
    /* So long the call waits; a later answer is kept for the next one. */
    uint32_t within_ms;
    /* 0. */
    uint32_t reserved;
} kk_question;

typedef struct kk_answer {
    /* Bytes of the struct. */
    size_t size;
    /* The host's, for one JSON object. */
    char *buffer;
    /* Its bytes. */
    size_t room;
    /* To be stored: the bytes of the answer; more than `room`: KK_E_LIMIT. */
    size_t len;
    /* To be stored: so long the host need not ask again; 0: each time. */
    uint32_t keep_ms;
    /* 0. */
    uint32_t reserved;
} kk_answer;

/*
 * kk.source/1, since 1.3 - granted by `grants = ["lookups"]`. A module that answers questions of
 * the offices that name it (`[lookup]`). All on one thread that the host makes for it, where it may
 * block: a call waits no longer than its office says, and goes on as if nobody had been asked.
 */
typedef struct kk_source_1 {
    /* Bytes of the struct. */
    size_t size;
    /* KK_OK: stores the source. Negative: it cannot work now; the host tries again.
     * `acknowledged` is 0. */
    kk_status (*open)(const kk_open *open, void **source);
    /* KK_OK: the answer is in `answer`. KK_E_NOT_FOUND: nothing is known, which may be kept too. */
    kk_status (*ask)(void *source, const kk_question *question, kk_answer *answer);
    /* Exactly once for each source. */
    void (*close)(void *source);
} kk_source_1;

typedef struct kk_entry {
    /* KK_MAGIC_INIT. */
    uint8_t magic[8];
    /* Sizeof(kk_entry). */
    uint32_t size;
    /* KK_ABI_MAJOR. */
    uint16_t abi_major;
    /* The lowest that serves. */
    uint16_t abi_minor;
    /* 0. */
    uint64_t flags;
    /* Its name. */
    kk_str name;
    /* Its version. */
    kk_str version;
    /* What built it, for people. */
    kk_str toolchain;
    /* Extensions without which the module does not start. */
    const kk_str *required;
    /* How many those are. */
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
 * Types: text, whole, flag, prompt, texts, prompts. Since 1.3 the table ["kk.source/1"] says that
 * the module answers lookups; since 1.4 the table ["kk.config/1"] says, in the same way, what the
 * `options` of its own table in the server's file may hold.
 */
extern KK_EXPORT const char kk_module_schema[];

#ifdef __cplusplus
}
#endif

#endif /* KOUKAN_H */
