"""Scores recordings with PESQ (ITU-T P.862, wide-band P.862.2 at 16 kHz).

The file named by the only argument has a line for each: what was said, what was heard, the sample
from which it is judged, and, where spandsp shall conceal, a 1 for each packet of 20 ms that is
missing and a 0 for each that is not, parted by tabs. A score is printed for each line.
"""

import ctypes
import multiprocessing
import sys
import wave

import numpy
import pesq

# Above sizeof(plc_state_t).
PLC_STATE_BYTES = 4096


def read(path):
    with wave.open(path) as file:
        return file.getframerate(), numpy.frombuffer(file.readframes(file.getnframes()), "<i2")


def concealed(samples, rate, missing):
    """The samples with spandsp's plc_rx and plc_fillin over them, packet by packet."""
    spandsp = ctypes.CDLL("libspandsp.so.2")
    state = ctypes.create_string_buffer(PLC_STATE_BYTES)
    spandsp.plc_init(state)
    samples = numpy.array(samples, dtype=numpy.int16)
    size = rate // 50
    for number, lost in enumerate(missing):
        packet = numpy.ascontiguousarray(samples[number * size : (number + 1) * size])
        process = spandsp.plc_fillin if lost == "1" else spandsp.plc_rx
        process(state, packet.ctypes.data_as(ctypes.c_void_p), ctypes.c_int(len(packet)))
        samples[number * size : (number + 1) * size] = packet
    return samples


def score(line):
    said_path, heard_path, start, missing = line.rstrip("\n").split("\t")
    rate, said = read(said_path)
    _, heard = read(heard_path)
    if missing:
        heard = concealed(heard, rate, missing)
    mode = "nb" if rate == 8000 else "wb"
    return pesq.pesq(rate, said[int(start) :], heard[int(start) :], mode)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as orders:
        lines = orders.readlines()
    with multiprocessing.Pool(2) as pool:
        for mos in pool.map(score, lines):
            print(f"{mos:.4f}")
