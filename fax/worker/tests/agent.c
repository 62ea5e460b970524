/* A fax machine that no one here wrote: Debian's libspandsp2 (0.0.6) behind a pipe. It has no clock:
   each request is a tick of 20 ms, so that a call runs as fast as the machine can.

   agent audio|t38 call|answer send|receive FILE MODEMS ECM
   in:  'A' and 160 samples                    out: 'A' and 160 samples, then a status
        'P' seq(2) len(2) ifp                  out: nothing
        'T'                                    out: packets 'P' times(1) len(2) ifp, then a status
        'Q'                                    ends
   status: 'S' over(1) code(1) pages(1)                                                          */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES
#include <spandsp.h>

static int over, code;

static void phase_e(t30_state_t *s, void *user, int result)
{
    (void) s;
    (void) user;
    over = 1;
    code = result;
}

static int send_packet(t38_core_state_t *s, void *user, const uint8_t *buf, int len, int count)
{
    uint8_t head[4] = {'P', (uint8_t) count, (uint8_t) (len >> 8), (uint8_t) len};

    (void) s;
    (void) user;
    fwrite(head, 1, 4, stdout);
    fwrite(buf, 1, len, stdout);
    return 0;
}

static void status(t30_state_t *t30, int sends)
{
    t30_stats_t stats;
    uint8_t out[4];

    memset(&stats, 0, sizeof(stats));
    t30_get_transfer_statistics(t30, &stats);
    out[0] = 'S';
    out[1] = (uint8_t) over;
    out[2] = (uint8_t) code;
    out[3] = (uint8_t) (sends ? stats.pages_tx : stats.pages_rx);
    fwrite(out, 1, 4, stdout);
    fflush(stdout);
}

static void set_up(t30_state_t *t30, int sends, const char *file, int modems, int ecm)
{
    t30_set_tx_ident(t30, "0.0.6");
    t30_set_supported_modems(t30, modems);
    t30_set_ecm_capability(t30, ecm);
    t30_set_supported_compressions(t30, T30_SUPPORT_T4_1D_COMPRESSION
                                        | T30_SUPPORT_T4_2D_COMPRESSION
                                        | T30_SUPPORT_T6_COMPRESSION);
    t30_set_supported_resolutions(t30, T30_SUPPORT_STANDARD_RESOLUTION
                                       | T30_SUPPORT_FINE_RESOLUTION
                                       | T30_SUPPORT_SUPERFINE_RESOLUTION);
    t30_set_supported_image_sizes(t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH
                                       | T30_SUPPORT_A4_LENGTH | T30_SUPPORT_UNLIMITED_LENGTH);
    t30_set_phase_e_handler(t30, phase_e, NULL);
    if (sends)
        t30_set_tx_file(t30, file, -1, -1);
    else
    {
        t30_set_rx_file(t30, file, -1);
        t30_set_rx_encoding(t30, T4_COMPRESSION_ITU_T6);
    }
}

int main(int argc, char *argv[])
{
    int is_t38, calling, sends, kind;
    fax_state_t *fax = NULL;
    t38_terminal_state_t *terminal = NULL;
    t30_state_t *t30;
    int16_t samples[160];
    uint8_t head[4];
    uint8_t ifp[2048];

    if (argc != 7)
        return 2;
    is_t38 = strcmp(argv[1], "t38") == 0;
    calling = strcmp(argv[2], "call") == 0;
    sends = strcmp(argv[3], "send") == 0;
    if (is_t38)
    {
        terminal = t38_terminal_init(NULL, calling, send_packet, NULL);
        t38_set_t38_version(t38_terminal_get_t38_core_state(terminal), 0);
        t30 = t38_terminal_get_t30_state(terminal);
    }
    else
    {
        fax = fax_init(NULL, calling);
        fax_set_transmit_on_idle(fax, 1);
        t30 = fax_get_t30_state(fax);
    }
    set_up(t30, sends, argv[4], atoi(argv[5]), atoi(argv[6]));
    while ((kind = getchar()) != EOF && kind != 'Q')
    {
        int len = 0;

        if (kind == 'A' && fax)
        {
            if (fread(samples, 2, 160, stdin) != 160)
                return 3;
            fax_rx(fax, samples, 160);
            len = fax_tx(fax, samples, 160);
            memset(samples + len, 0, (160 - len)*sizeof(samples[0]));
            putchar('A');
            fwrite(samples, 2, 160, stdout);
            status(t30, sends);
        }
        else if (kind == 'T' && terminal)
        {
            t38_terminal_send_timeout(terminal, 160);
            status(t30, sends);
        }
        else if (kind == 'P' && terminal)
        {
            if (fread(head, 1, 4, stdin) != 4)
                return 3;
            len = head[2] << 8 | head[3];
            if (len > (int) sizeof(ifp) || fread(ifp, 1, len, stdin) != (size_t) len)
                return 3;
            t38_core_rx_ifp_packet(t38_terminal_get_t38_core_state(terminal), ifp, len,
                                   (uint16_t) (head[0] << 8 | head[1]));
        }
        else
            return 4;
    }
    return 0;
}
